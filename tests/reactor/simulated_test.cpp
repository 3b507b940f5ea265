#include "reactor/simulated.hpp"

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>

#include "tests/reactor/simulated_support.hpp"

using namespace confab;
using namespace std::chrono_literals;
using Kind = Operation::Kind;

TEST_CASE("simulated: bytes that one end sends are received at the other") {
    World world;
    const auto [one, other] = world.network.connected_pair();
    Recorded receive(Kind::receive, one);
    CHECK_FALSE(world.submit(receive));
    CHECK(world.send(other, "hello") == 5);
    world.run_until(receive);
    CHECK(receive.text == "hello");
    world.close_all({one, other});
}

TEST_CASE("simulated: a sleep of an hour takes an hour of the virtual clock and no time") {
    World world;
    const Instant start = world.reactor.now();
    Recorded sleep(Kind::sleep, -1);
    sleep.deadline = start + 1h;
    world.submit(sleep);
    world.run_until(sleep);
    CHECK(sleep.result == 0);
    CHECK(world.network.now() >= start + 1h);
    CHECK(world.network.now() < start + 1h + 2ms);  // the timers' grain
}

TEST_CASE("simulated: a receive whose time limit passes ends with ETIMEDOUT") {
    World world;
    const auto [one, other] = world.network.connected_pair();
    Recorded receive(Kind::receive, one);
    receive.deadline = world.reactor.now() + 5s;
    world.submit(receive);
    world.run_until(receive);
    CHECK(receive.result == -ETIMEDOUT);
    world.close_all({one, other});
}

TEST_CASE("simulated: a loop in which nothing can ever happen again says so, whatever is in flight") {
    World world;
    const auto [one, other] = world.network.connected_pair();
    Recorded receive(Kind::receive, one);
    world.submit(receive);
    CHECK(world.reactor.run() == Reactor::End::deadlock);
    CHECK(world.network.run({&world.reactor}, [] { return false; }) == Reactor::End::deadlock);
    world.reactor.cancel(receive);
    world.run_until(receive);
    CHECK(receive.result == -ECANCELED);
    world.close_all({one, other});
}

TEST_CASE("simulated: several parts are sent in their order") {
    World world;
    const auto [one, other] = world.network.connected_pair();
    std::array<std::string, 3> texts{"a", "", "bc"};
    std::array<iovec, 3> parts{};
    for (std::size_t i = 0; i < texts.size(); ++i) parts[i] = {texts[i].data(), texts[i].size()};
    Recorded send(Kind::send, other);
    send.parts = {.data = parts.data(), .count = 3, .done = 0};
    CHECK(world.submit(send));
    CHECK(send.result == 3);
    CHECK(world.receive(one) == "abc");
    world.close_all({one, other});
}

TEST_CASE("simulated: closing with bytes unread resets the connection, closing without ends it") {
    World world;
    const auto [one, other] = world.network.connected_pair();
    CHECK(world.send(one, "unread") == 6);
    world.close_all({other});
    CHECK(world.receive(one) == "error ECONNRESET");
    world.close_all({one});

    const auto [third, fourth] = world.network.connected_pair();
    CHECK(world.send(third, "read") == 4);
    CHECK(world.receive(fourth) == "read");
    world.close_all({fourth});
    CHECK(world.receive(third) == "");
    world.close_all({third});
}

TEST_CASE("simulated: sending to a closed peer is answered with a reset") {
    World world;
    const auto [one, other] = world.network.connected_pair();
    world.close_all({other});
    CHECK(world.send(one, "anybody there?") == 14);
    CHECK(world.send(one, "hello?") == -ECONNRESET);
    CHECK(world.send(one, "hello?") == -EPIPE);
    world.close_all({one});
}

TEST_CASE("simulated: after a half-close the other direction goes on") {
    World world;
    const auto [one, other] = world.network.connected_pair();
    CHECK(world.send(one, "question") == 8);
    CHECK(world.shutdown(one, SHUT_WR) == 0);
    CHECK(world.send(one, "x") == -EPIPE);
    CHECK(world.receive(other) == "question");
    CHECK(world.receive(other) == "");
    CHECK((world.network.poll(other) & (POLLRDHUP | POLLHUP)) == POLLRDHUP);
    CHECK(world.send(other, "answer") == 6);
    CHECK(world.receive(one) == "answer");
    world.close_all({one, other});
}

TEST_CASE("simulated: a shutdown of the reading side ends a receive that waits") {
    World world;
    const auto [one, other] = world.network.connected_pair();
    Recorded receive(Kind::receive, one);
    world.submit(receive);
    CHECK(world.shutdown(one, SHUT_RD) == 0);
    world.run_until(receive);
    CHECK(receive.result == 0);
    world.close_all({one, other});
}

TEST_CASE("simulated: a send waits for room and then goes on") {
    SimulationOptions options;
    options.buffer_size = 4;
    World world(options);
    const auto [one, other] = world.network.connected_pair();
    Sending send(other, "more than fits");
    CHECK_FALSE(world.submit(send));
    CHECK(world.reactor.run() == Reactor::End::deadlock);
    CHECK(world.reactor.send_now(one, as_bytes(std::string_view("four and more"))) == 4);
    CHECK(world.reactor.send_now(one, as_bytes(std::string_view("more"))) == -EAGAIN);
    std::string text;
    for (int i = 0; i < 4; ++i) text += world.receive(one);
    CHECK(text == "more than fits");
    world.run_until(send);
    CHECK(send.result == 14);
    CHECK(world.receive(other) == "four");
    world.close_all({one, other});
}

TEST_CASE("simulated: a send that had sent some when it was cancelled says ECANCELED") {
    SimulationOptions options;
    options.buffer_size = 4;
    World world(options);
    const auto [one, other] = world.network.connected_pair();
    Sending send(other, "more than fits");
    world.submit(send);
    world.reactor.cancel(send);
    world.run_until(send);
    CHECK(send.result == -ECANCELED);
    CHECK(world.receive(one) == "more");
    world.close_all({one, other});
}

TEST_CASE("simulated: a close waits for all that is in flight, however late it ends") {
    World world;
    const auto [one, other] = world.network.connected_pair();
    Recorded receive(Kind::receive, one);
    Recorded close(Kind::close, one);
    world.submit(receive);
    const Instant start = world.network.now();
    world.network.delay_next(Kind::receive, 2s);
    CHECK_FALSE(world.submit(close));
    Recorded tardy(Kind::receive, one);
    CHECK(world.submit(tardy));
    CHECK(tardy.result == -ECANCELED);
    world.run_until(receive);
    CHECK_FALSE(close.completed);
    CHECK(receive.result == -ECANCELED);
    CHECK(world.network.now() == start + 2s);
    world.run_until(close);
    CHECK(close.result == 0);
    CHECK(world.network.close(one) == -EBADF);
    world.close_all({other});
}

TEST_CASE("simulated: poll says which events hold") {
    World world;
    const auto [one, other] = world.network.connected_pair();
    Recorded poll(Kind::poll, one);
    poll.events = POLLIN;
    CHECK_FALSE(world.submit(poll));
    CHECK(world.send(other, "x") == 1);
    world.run_until(poll);
    CHECK(poll.result == POLLIN);
    poll.events = POLLOUT;
    CHECK(world.submit(poll));
    CHECK(poll.result == POLLOUT);
    world.close_all({one, other});
}

TEST_CASE("simulated: calls on a descriptor of another sort fail as they do on Linux") {
    World world;
    const int fresh = world.network.socket();
    const int listener = world.network.listen(0);
    CHECK(world.receive(fresh) == "error ENOTCONN");
    CHECK(world.send(fresh, "x") == -EPIPE);
    CHECK(world.accept(fresh) == -EINVAL);
    CHECK(world.shutdown(fresh, SHUT_WR) == -ENOTCONN);
    CHECK(world.accept(3) == -EBADF);
    CHECK(world.send(-1, "x") == -EBADF);
    world.close_all({fresh, listener});
    CHECK(world.send(fresh, "x") == -EBADF);
}

#if !defined(__has_feature) || !__has_feature(address_sanitizer)  // which forbids the look
TEST_CASE("simulated: lent bytes are overwritten when they go back") {
    for (const bool lends_scratch : {true, false}) {
        CAPTURE(lends_scratch);
        World world({.lends_scratch = lends_scratch});
        const auto [one, other] = world.network.connected_pair();
        const auto [third, fourth] = world.network.connected_pair();
        CHECK(world.send(other, "first") == 5);
        CHECK(world.send(fourth, "other") == 5);
        Recorded receive(Kind::receive, one);
        world.submit(receive);
        world.run_until(receive);
        const Bytes lent = receive.bytes;
        CHECK(world.receive(third) == "other");  // takes the scratch buffer, and nobody's own
        CHECK((std::memcmp(lent.data(), "first", 5) == 0) == !lends_scratch);
        Recorded next(Kind::receive, one);
        world.submit(next);
        CHECK(std::memcmp(lent.data(), "first", 5) != 0);
        world.close_all({one, other, third, fourth});
        CHECK(next.result == -ECANCELED);
    }
}
#endif

TEST_CASE("simulated: two sends at once on a descriptor are refused") {
    SimulationOptions options;
    options.buffer_size = 1;
    World world(options);
    const auto [one, other] = world.network.connected_pair();
    Sending first(one, "first");
    Sending second(one, "second");
    CHECK_FALSE(world.submit(first));
    CHECK_THROWS_AS(world.submit(second), std::logic_error);
    CHECK_THROWS_AS(world.reactor.send_now(one, as_bytes(std::string_view("x"))), std::logic_error);
    world.close_all({one, other});
}

TEST_CASE("simulated: a descriptor that a reactor waits on is not closed behind its back") {
    World world;
    const auto [one, other] = world.network.connected_pair();
    Recorded receive(Kind::receive, one);
    world.submit(receive);
    CHECK_THROWS_AS(world.network.close(one), std::logic_error);
    world.close_all({one, other});
}

TEST_CASE("simulated: what is left behind is reported") {
    World world;
    const auto [one, other] = world.network.connected_pair();
    Recorded receive(Kind::receive, one);
    world.submit(receive);
    CHECK(world.network.leaks() ==
          "descriptor 1000000 (pair) is open\n"
          "descriptor 1000001 (pair) is open\n"
          "receive on descriptor 1000000 is in flight\n");
    world.close_all({one, other});
    CHECK(world.network.leaks().empty());
}

TEST_CASE("simulated: a reactor is woken by a post from another thread") {
    World world;
    Posted job;
    world.reactor.hold();
    std::thread poster([&] { world.reactor.post(job); });
    CHECK(world.reactor.run() == Reactor::End::stopped);
    CHECK(job.ran);
    poster.join();
    world.reactor.release_hold();
}

TEST_CASE("simulated: a reactor needs a network to be in") {
    CHECK_THROWS_AS(Reactor({.waiting = Waiting::simulated}), std::invalid_argument);
}
