// What is the blocking mechanism's own: the plain call, its limits, and how it is interrupted.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <thread>

#include "coro/run.hpp"
#include "coro/stream.hpp"
#include "pools/fd.hpp"
#include "reactor/reactor.hpp"
#include "tests/reactor/every_mechanism.hpp"

using namespace confab;
using namespace confab::testing;
using namespace std::chrono_literals;

namespace {

struct SocketPair {
    SocketPair() { REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()) == 0); }
    std::array<int, 2> ends{};
};

// Serves `rounds` messages that a thread with plain blocking calls sends and wants back, and counts what each
// round costs once warm.
struct Echo {
    std::uint64_t calls = 0;
    std::uint64_t control_calls = 0;
};
Echo echo_under_blocking(Duration limit) {
    constexpr int warm = 100;  // by then it has its timer
    constexpr int rounds = 1000;
    const SocketPair sockets;
    std::jthread client([peer = sockets.ends[1]] {
        const Fd fd(peer);
        ::fcntl(peer, F_SETFL, 0);
        std::array<char, 5> buffer{"ping"};
        for (int i = 0; i < warm + rounds; ++i) {
            if (::send(peer, buffer.data(), buffer.size(), MSG_NOSIGNAL) != 5) return;
            if (::recv(peer, buffer.data(), buffer.size(), 0) != 5) return;
        }
    });
    Reactor reactor(ReactorOptions{.waiting = Waiting::blocking});
    const int fd = sockets.ends[0];
    Ledger before;
    for (int i = 0; i < warm + rounds; ++i) {
        if (i == warm) before = reactor.ledger();
        Call receive(Operation::Kind::receive, fd);
        if (limit != Duration::zero()) receive.deadline = reactor.now() + limit;
        REQUIRE_FALSE(reactor.submit(receive));
        while (!receive.over) reactor.run();
        REQUIRE(receive.result == 5);
        SendCall send(fd, {receive.text});
        if (limit != Duration::zero()) send.deadline = reactor.now() + limit;
        REQUIRE(reactor.submit(send));
    }
    const Ledger& after = reactor.ledger();
    const Echo cost{after.all_system_calls() - before.all_system_calls(),
                    after.calls(SystemCall::control) - before.calls(SystemCall::control)};
    Call close(Operation::Kind::close, fd);
    CHECK(reactor.submit(close));
    CHECK(cost.calls == 2 * rounds);
    return cost;
}

}  // namespace

TEST_CASE("an echo under blocking costs one receive and one send") {
    CHECK(echo_under_blocking(Duration::zero()).control_calls == 0);
}

TEST_CASE("the same time limit on each receive costs no further system call") {
    CHECK(echo_under_blocking(300s).control_calls == 0);
}

// A task that echoes `rounds` messages of a peer's, and then what became of the receive that nobody answers.
struct Answered {
    int messages = 0;
    std::error_code end;
};
task<Answered> answer_until_silence(Reactor& reactor, int fd, Duration limit) {
    Stream stream(reactor, fd);
    Answered answered;
    while (true) {
        const Received bytes = co_await stream.receive(limit);
        if (!bytes || bytes->empty()) {
            if (!bytes) answered.end = bytes.error();
            break;
        }
        ++answered.messages;
        const Sent sent = co_await stream.send(*bytes);
        if (!sent) break;
    }
    co_await stream.close();
    co_return answered;
}

TEST_CASE("a task alone receives without a turn of the loop, and a silent peer ends it by its limit") {
    constexpr int rounds = 640;
    const SocketPair sockets;
    const Fd peer(sockets.ends[1]);
    std::jthread client([fd = peer.get()] {
        ::fcntl(fd, F_SETFL, 0);
        std::array<char, 5> buffer{"ping"};
        for (int i = 0; i < rounds; ++i) {
            if (::send(fd, buffer.data(), buffer.size(), MSG_NOSIGNAL) != 5) return;
            if (::recv(fd, buffer.data(), buffer.size(), 0) != 5) return;
        }
    });
    Reactor reactor(ReactorOptions{.waiting = Waiting::blocking});
    const Answered answered = run(reactor, answer_until_silence(reactor, sockets.ends[0], 250ms));
    CHECK(answered.messages == rounds);
    CHECK(answered.end == std::errc::timed_out);
    CHECK(reactor.ledger().turns < rounds / 8);
}

TEST_CASE("a post interrupts the plain call of a task alone") {
    constexpr int posts = 500;
    const SocketPair sockets;
    const Fd peer(sockets.ends[1]);
    Reactor reactor(ReactorOptions{.waiting = Waiting::blocking});
    struct Posted : Job {
        explicit Posted(std::atomic<int>& count)
            : Job([](Job& job) noexcept { ++static_cast<Posted&>(job).runs; }), runs(count) {}
        std::atomic<int>& runs;
    };
    std::atomic<int> runs{0};
    Posted posted(runs);
    std::jthread poster([&] {
        for (int i = 0; i < posts; ++i) {
            reactor.post(posted);
            while (runs.load() <= i) std::this_thread::yield();
        }
        ::shutdown(peer.get(), SHUT_WR);
    });
    const Answered answered = run(reactor, answer_until_silence(reactor, sockets.ends[0], 300s));
    CHECK(runs.load() == posts);
    CHECK_FALSE(answered.end);
}

TEST_CASE("a post interrupts the plain call") {
    const SocketPair sockets;
    const Fd peer(sockets.ends[1]);
    Reactor reactor(ReactorOptions{.waiting = Waiting::blocking});
    Call receive(Operation::Kind::receive, sockets.ends[0]);
    REQUIRE_FALSE(reactor.submit(receive));
    struct Posted : Job {
        Posted()
            : Job([](Job& job) noexcept {
                  ++static_cast<Posted&>(job).runs;
                  Reactor::current()->stop();
              }) {}
        int runs = 0;
    } posted;
    constexpr int posts = 500;
    std::atomic<int> taken{0};
    std::jthread poster([&] {
        for (int i = 0; i < posts; ++i) {
            reactor.post(posted);
            while (taken.load() <= i) std::this_thread::yield();
        }
    });
    while (posted.runs < posts) {
        CHECK(reactor.run() == Reactor::End::stopped);
        taken.store(posted.runs);
    }
    CHECK_FALSE(receive.over);
    Call close(Operation::Kind::close, sockets.ends[0]);
    REQUIRE_FALSE(reactor.submit(close));
    while (!close.over) reactor.run();
    CHECK(receive.result == -ECANCELED);
}
