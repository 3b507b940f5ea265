#include "tests/reactor/every_mechanism.hpp"

#include <signal.h>

#include <ctime>
#include <utility>

#include "tests/reactor/kernel_sockets.hpp"
#include "tests/reactor/simulated_world.hpp"

namespace confab::testing {

Call::~Call() {
    if (state != State::idle) world->abandon(*this);
}

void Call::completed(Operation& operation) noexcept {
    auto& self = static_cast<Call&>(operation);
    self.over = true;
    const bool lent = (self.kind == Kind::receive && self.result > 0) || self.kind == Kind::release;
    if (lent) {
        self.text.assign(reinterpret_cast<const char*>(self.bytes.data()), self.bytes.size());
    }
    Reactor::current()->stop();
    if (self.when_over) self.when_over(self);
}

SendCall::SendCall(int descriptor, std::vector<std::string> what)
    : Call(Kind::send, descriptor), texts(std::move(what)) {
    for (std::string& each : texts) iovecs.push_back({each.data(), each.size()});
    parts = {.data = iovecs.data(), .count = static_cast<std::uint32_t>(iovecs.size()), .done = 0};
}

ConnectCall::ConnectCall(int descriptor, const Endpoint& to) : Call(Kind::connect, descriptor), peer(to) {
    address = {.data = peer.address(), .size = peer.size()};
}

World::World(Waiting waiting, std::unique_ptr<Sockets> sockets) : sockets_(std::move(sockets)) {
    ReactorOptions options;
    options.waiting = waiting;
    sockets_->prepare(options);
    reactor_ = std::make_unique<Reactor>(options);
}

World::~World() {
    while (!open_.empty()) {
        Call close(Operation::Kind::close, let_go(open_.back()));
        if (reactor_->submit(close)) continue;
        while (!close.over) reactor_->run();
    }
}

Sockets::Pair World::pair() {
    const Sockets::Pair ends = sockets_->pair();
    keep(ends.here);
    keep(ends.there);
    return ends;
}

int World::listener() { return keep(sockets_->listener()); }

int World::socket() { return keep(sockets_->socket()); }

int World::keep(int fd) {
    open_.push_back(fd);
    return fd;
}

int World::let_go(int fd) {
    std::erase(open_, fd);
    return fd;
}

void World::start(Call& call) {
    call.world = this;
    call.over = reactor_->submit(call);
}

int World::end(Call& call) {
    run_until([&] { return call.over; });
    return call.result;
}

void World::abandon(Call& call) noexcept {
    call.when_over = nullptr;
    reactor_->cancel(call);
    while (!call.over) reactor_->run();
}

void World::run_until(const std::function<bool()>& condition) {
    while (!condition()) REQUIRE(reactor_->run() == Reactor::End::stopped);
}

void World::let_pass() {
    for (int i = 0; i < 10; ++i) reactor_->turn();
}

int World::connect(int fd, const Endpoint& peer) {
    ConnectCall call(fd, peer);
    return result_of(call);
}

int World::accept(int listener) {
    Call call(Operation::Kind::accept, listener);
    const int fd = result_of(call);
    return fd < 0 ? fd : keep(fd);
}

int World::receive(int fd) {
    Call call(Operation::Kind::receive, fd);
    return result_of(call);
}

std::string World::text_from(int fd) {
    Call call(Operation::Kind::receive, fd);
    REQUIRE(result_of(call) >= 0);
    return call.text;
}

std::string World::text_from(int fd, std::size_t size) {
    std::string text;
    while (text.size() < size) {
        const std::string more = text_from(fd);
        if (more.empty()) break;
        text += more;
    }
    return text;
}

int World::send(int fd, std::string text) {
    SendCall call(fd, {std::move(text)});
    return result_of(call);
}

int World::shut_down(int fd, int how) {
    Call call(Operation::Kind::shutdown, fd);
    call.how = how;
    return result_of(call);
}

int World::close(int fd) {
    Call call(Operation::Kind::close, let_go(fd));
    return result_of(call);
}

namespace {

// Why this machine does not have the mechanism; empty when it does.
std::string absence(Waiting waiting, const char* uring_features) {
    ReactorOptions options;
    options.waiting = waiting;
    options.uring_features = uring_features;
    const Reactor probe(options);
    return probe.waiting() == waiting ? "" : probe.warning();
}

void run_simulated(void (*body)(World&)) {
    for (const SimulationOptions& options : simulated_worlds()) {
        World world(Waiting::simulated, make_simulated_sockets(options));
        INFO("in the simulated world of seed ", options.seed);
        body(world);
    }
}

// Ends the program, with the name of the test case, when it hangs.
class Guard {
  public:
    Guard() {
        sigevent event{};
        event.sigev_notify = SIGEV_SIGNAL;
        event.sigev_signo = SIGTERM;
        REQUIRE(::timer_create(CLOCK_MONOTONIC, &event, &timer_) == 0);
        const itimerspec limit{.it_interval = {}, .it_value = {.tv_sec = 100, .tv_nsec = 0}};
        REQUIRE(::timer_settime(timer_, 0, &limit, nullptr) == 0);
    }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;
    ~Guard() { ::timer_delete(timer_); }

  private:
    timer_t timer_{};
};

}  // namespace

void run_under(Waiting waiting, const char* uring_features, void (*body)(World&)) {
    const Guard guard;
    if (waiting == Waiting::simulated) {
        run_simulated(body);
        return;
    }
    const std::string reason = absence(waiting, uring_features);
    if (!reason.empty()) {
        MESSAGE("NOT TESTED: " << std::string(name(waiting)) << ": " << reason);
        return;
    }
    for (const Family family : {Family::tcp4, Family::tcp6, Family::unix_path}) {
        if (!available(family)) {
            MESSAGE("NOT TESTED: IPv6: no [::1] here");
            continue;
        }
        World world(waiting, make_kernel_sockets(family, uring_features));
        INFO("over ", std::string(world.sockets().name()));
        body(world);
    }
}

}  // namespace confab::testing
