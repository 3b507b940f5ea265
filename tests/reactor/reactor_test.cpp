#include "reactor/reactor.hpp"

#include <doctest/doctest.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <memory>
#include <vector>

#include "pools/fd.hpp"

using namespace confab;

namespace {

struct Recorded : Operation {
    Recorded(Kind kind, int fd)
        : Operation(kind, fd, [](Operation& self) noexcept {
              static_cast<Recorded&>(self).completed = true;
              Reactor::current()->stop();
          }) {}
    bool completed = false;
};

// Makes itself ready `left` times more.
struct Restless : Job {
    explicit Restless(int times)
        : Job([](Job& job) noexcept {
              auto& self = static_cast<Restless&>(job);
              if (self.left-- > 0) Reactor::current()->ready(self);
          }),
          left(times) {}
    int left;
};

}  // namespace

TEST_CASE("a receive that waits is given the bytes that a send brings") {
    std::array<int, 2> ends{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()) == 0);
    Reactor reactor(ReactorOptions{});
    Recorded receive(Operation::Kind::receive, ends[0]);
    REQUIRE_FALSE(reactor.submit(receive));
    REQUIRE(::send(ends[1], "hello", 5, 0) == 5);
    CHECK(reactor.run() == Reactor::End::stopped);
    CHECK(receive.completed);
    REQUIRE(receive.result == 5);
    CHECK(std::memcmp(receive.bytes.data(), "hello", 5) == 0);
    for (const int fd : ends) {
        Recorded close(Operation::Kind::close, fd);
        CHECK(reactor.submit(close));
    }
}

TEST_CASE("a receive whose time limit passes ends with ETIMEDOUT") {
    std::array<int, 2> ends{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()) == 0);
    const Fd one(ends[0]);
    const Fd other(ends[1]);
    Reactor reactor(ReactorOptions{});
    Recorded receive(Operation::Kind::receive, ends[0]);
    receive.deadline = reactor.now() + std::chrono::milliseconds(5);
    REQUIRE_FALSE(reactor.submit(receive));
    CHECK(reactor.run() == Reactor::End::stopped);
    CHECK(receive.result == -ETIMEDOUT);
}

TEST_CASE("a loop in which nothing can ever run again says so") {
    Reactor reactor(ReactorOptions{});
    CHECK(reactor.run() == Reactor::End::deadlock);
}

TEST_CASE("a turn ends however often jobs make themselves ready, and few of them do not make it short") {
    Reactor reactor(ReactorOptions{});
    constexpr int jobs_per_turn = 512;
    Restless alone(4 * jobs_per_turn - 1);
    reactor.ready(alone);
    for (int turn = 0; turn < 4; ++turn) CHECK(reactor.turn());
    CHECK(alone.left == -1);
    CHECK_FALSE(reactor.turn());
    // Very many at once get their rounds, and no more.
    std::vector<std::unique_ptr<Restless>> crowd;
    for (int i = 0; i < jobs_per_turn; ++i) {
        crowd.push_back(std::make_unique<Restless>(16));
        reactor.ready(*crowd.back());
    }
    CHECK(reactor.turn());
    CHECK(crowd.front()->left == 0);
    CHECK(crowd.back()->left == 0);
    CHECK(reactor.turn());
    CHECK_FALSE(reactor.turn());
}
