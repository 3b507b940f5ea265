#include "tests/reactor/uring_support.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <random>
#include <system_error>

namespace confab::testing {

namespace {

// Longer than anything here takes on a busy machine, and shorter than a test run's patience.
constexpr int patience_ms = 60'000;

}  // namespace

bool has_uring() {
    ReactorOptions options;
    options.waiting = Waiting::uring;
    const Reactor probe(options);
    if (probe.waiting() == Waiting::uring) return true;
    MESSAGE("NOT TESTED: ", probe.warning());
    return false;
}

void under_every_mask(void (*body)(World&)) {
    if (!has_uring()) return;
    for (const char* const mask : uring_masks) {
        for (const Family family : {Family::tcp4, Family::unix_path}) {
            World world(Waiting::uring, make_kernel_sockets(family, mask));
            INFO("over ", std::string(world.sockets().name()), ", with ", std::string(mask), ": ",
                 world.reactor().description());
            body(world);
        }
    }
}

std::string pattern(std::size_t size, unsigned seed) {
    std::minstd_rand random(seed + 1);
    std::string text(size, '\0');
    for (char& each : text) each = static_cast<char>(random());
    return text;
}

Reader::Reader(World& world, int fd) : world_(world), receive_(Operation::Kind::receive, fd) {
    receive_.when_over = [this](Call&) { took(); };
    world_.start(receive_);
}

void Reader::took() {
    at_end_ = receive_.result <= 0;
    if (at_end_) return;
    text_ += receive_.text;
    world_.start(receive_);
}

void send_raw(int fd, std::string_view text) { REQUIRE(send_what_fits(fd, text) == text.size()); }

std::size_t send_what_fits(int fd, std::string_view text) {
    std::size_t sent = 0;
    while (sent < text.size()) {
        const ssize_t result =
            ::send(fd, text.data() + sent, text.size() - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (result < 0 && errno == EINTR) continue;
        if (result < 0) break;
        sent += static_cast<std::size_t>(result);
    }
    return sent;
}

bool has_ended(int fd) {
    while (true) {
        pollfd asked{.fd = fd, .events = POLLIN, .revents = 0};
        if (::poll(&asked, 1, patience_ms) == 0) return false;
        std::array<char, 4096> skipped{};
        const ssize_t result = ::recv(fd, skipped.data(), skipped.size(), MSG_DONTWAIT);
        if (result == 0 || (result < 0 && errno != EAGAIN && errno != EINTR)) return true;
    }
}

std::vector<Fd> connect_raw(World& world, int listener, int count) {
    const Endpoint there = world.sockets().endpoint(listener);
    std::vector<Fd> clients;
    for (int i = 0; i < count; ++i) {
        clients.emplace_back(::socket(there.address()->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
        REQUIRE(clients.back());
        REQUIRE(::connect(clients.back().get(), there.address(), there.size()) == 0);
    }
    return clients;
}

}  // namespace confab::testing
