// Connections on their way to a successor that is killed: at every point, and for real.
#include "server/bequest.hpp"

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/child.hpp"

using namespace confab;

namespace {

constexpr int connections = 20;

// A client's end, and the server's.
std::pair<Fd, Fd> make_connection() {
    std::array<int, 2> ends{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
    return {Fd(ends[0]), Fd(ends[1])};
}

void wait_for_news(int descriptor) {
    pollfd watched{.fd = descriptor, .events = POLLIN, .revents = 0};
    while (::poll(&watched, 1, -1) < 0) {
    }
}

// Says on the connection who has it: what a server would do.
void sign(const Fd& connection, char name) { REQUIRE(::write(connection.get(), &name, 1) == 1); }

// Takes `count` of what it inherits, signs these, and is killed.
int succeed(Fd end, int count) {
    Inheritance inheritance(std::move(end));
    while (count > 0 && inheritance.descriptor() >= 0) {
        wait_for_news(inheritance.descriptor());
        auto traveller = inheritance.receive();
        if (!traveller) continue;
        sign(traveller->connection, 's');
        --count;
    }
    ::kill(::getpid(), SIGKILL);
    return EXIT_FAILURE;
}

}  // namespace

TEST_CASE("a successor that is killed has what it said that it holds, and its predecessor all the rest") {
    for (int held = 0; held <= connections; ++held) {
        CAPTURE(held);
        auto [own_end, heirs_end] = make_two_way_pipe();
        std::vector<Fd> clients;
        int lost = 0;
        Bequest bequest(own_end.release(), [&lost](const std::string& state) {
            CHECK(state == std::to_string(lost));
            ++lost;
        });
        const Child successor([&] { return succeed(heirs_end.release(), held); });
        heirs_end.close();
        int taken = 0;
        int returned = 0;
        for (int i = 0; i < connections; ++i) {
            auto [client, server] = make_connection();
            clients.push_back(std::move(client));
            bequest.send({.connection = std::move(server), .state = std::to_string(i)},
                         [&taken, &returned, i](std::optional<Traveller> back) {
                             ++(back ? returned : taken);
                             if (!back) return;
                             CHECK(back->state == std::to_string(i));
                             sign(back->connection, 'p');
                         });
        }
        while (taken + returned < connections) {
            if (bequest.descriptor() >= 0) wait_for_news(bequest.descriptor());
            bequest.hear();
        }
        while (bequest.descriptor() >= 0) bequest.hear();
        CHECK(taken == held);
        CHECK(lost == held);
        CHECK(returned == connections - held);
        // Each client has heard exactly one of the two, once.
        for (int i = 0; i < connections; ++i) {
            std::array<char, 4> heard{};
            REQUIRE(::read(clients[static_cast<std::size_t>(i)].get(), heard.data(), heard.size()) == 1);
            CHECK(heard[0] == (i < held ? 's' : 'p'));
        }
    }
}

TEST_CASE("without a successor every connection comes back at once") {
    Bequest bequest(Fd(), [](const std::string&) {});
    auto [client, server] = make_connection();
    bool returned = false;
    bequest.send({.connection = std::move(server)},
                 [&returned](const std::optional<Traveller>& back) { returned = back.has_value(); });
    CHECK(returned);
}

TEST_CASE("a connection whose predecessor waits for no answer any more is not touched") {
    auto [own_end, heirs_end] = make_two_way_pipe();
    auto [client, server] = make_connection();
    {
        Bequest bequest(own_end.release(), [](const std::string&) {});
        bequest.send({.connection = std::move(server)}, [](const std::optional<Traveller>&) {});
    }
    Inheritance inheritance(heirs_end.release());
    CHECK_FALSE(inheritance.receive());
    CHECK(inheritance.is_over());
}
