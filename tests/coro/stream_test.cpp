#include "coro/stream.hpp"

#include <doctest/doctest.h>
#include <sys/socket.h>

#include <array>
#include <string>

#include "coro/run.hpp"
#include "coro/sleep.hpp"
#include "coro/timeout.hpp"
#include "reactor/endpoint.hpp"

using namespace confab;
using namespace std::chrono_literals;

namespace {

task<void> echo(Stream& stream) {
    while (true) {
        const Received bytes = co_await stream.receive();
        if (!bytes || bytes->empty()) co_return;
        const Sent sent = co_await stream.send(*bytes);
        if (!sent) co_return;
    }
}

task<void> serve_echo(int fd) {
    Stream stream(*Reactor::current(), fd);
    co_await echo(stream);
    co_await stream.close();
}

task<std::string> say(int fd, std::string text) {
    Stream stream(*Reactor::current(), fd);
    std::string answer;
    for (int i = 0; i < 3; ++i) {
        const Sent sent = co_await stream.send(text);
        if (!sent) break;
        const Received bytes = co_await stream.receive();
        if (!bytes) break;
        answer += as_text(*bytes);
    }
    co_await stream.close();
    co_return answer;
}

task<std::string> conversation(std::array<int, 2> ends) {
    scope tasks;
    tasks.spawn(serve_echo(ends[0]), "echo");
    child<std::string> asked = tasks.spawn(say(ends[1], "hello"), "client");
    co_await tasks.join();
    co_return co_await asked.get();
}

task<int> answer_late() {
    co_await sleep(10s);
    co_return 42;
}

task<void> wait_for_ever() {
    scope none;
    child<int> self;
    WaitList list;
    static constexpr WaitKind kind = WaitList::kind("nothing");
    co_await WaitList::Awaiter(list, kind, false, std::source_location::current());
}

// A connection whose other end was reset, with nobody told yet.
int connection_that_was_reset() {
    const auto listener = listen_on(Endpoint::resolve("127.0.0.1:0")->front());
    const Endpoint address = *Endpoint::of_socket(listener->get());
    const Fd peer(::socket(AF_INET, SOCK_STREAM, 0));
    REQUIRE(::connect(peer.get(), address.address(), address.size()) == 0);
    const int accepted = ::accept4(listener->get(), nullptr, nullptr, SOCK_NONBLOCK);
    REQUIRE(accepted >= 0);
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    REQUIRE(::setsockopt(peer.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == 0);
    return accepted;
}

task<std::error_code> send_then_receive(int fd) {
    Stream stream(*Reactor::current(), fd);
    stream.outbox().push(SharedBytes::copy_of(as_bytes("too late")));
    stream.outbox().flush();
    const Sent sent = co_await stream.flush();
    CHECK(sent.error() == std::errc::connection_reset);
    const Received received = co_await stream.receive();
    co_await stream.close();
    co_return received ? std::error_code() : received.error();
}

}  // namespace

TEST_CASE("who receives hears of a reset, even when a send has heard of it before") {
    Reactor reactor({.waiting = Waiting::epoll});
    const int fd = connection_that_was_reset();
    CHECK(run(reactor, send_then_receive(fd)) == std::errc::connection_reset);
}

TEST_CASE("a handler echoes what a client says") {
    std::array<int, 2> ends{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()) == 0);
    Reactor reactor(ReactorOptions{});
    CHECK(run(reactor, conversation(ends)) == "hellohellohello");
}

TEST_CASE("a task that runs out of time gives timed_out") {
    Reactor reactor(ReactorOptions{});
    const auto result = run(reactor, with_timeout(1ms, answer_late()));
    REQUIRE_FALSE(result);
    CHECK(result.error() == std::errc::timed_out);
}

TEST_CASE("a deadlock is reported with who waits where") {
    Reactor reactor(ReactorOptions{});
    CHECK_THROWS_AS(run(reactor, wait_for_ever(), "stuck"), deadlock_error);
}
