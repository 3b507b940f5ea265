#include <doctest/doctest.h>
#include <sys/socket.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/reactor/simulated_support.hpp"

using namespace confab;
using namespace std::chrono_literals;
using Kind = Operation::Kind;

TEST_CASE("simulated: a call fails with the error that was appointed, once") {
    World world;
    const int listener = world.network.listen(0);
    const int client = world.connect_to(listener);
    world.network.fail_next(Kind::accept, ENFILE);
    CHECK(world.accept(listener) == -ENFILE);
    const int accepted = world.accept(listener);
    REQUIRE(accepted > 0);

    world.network.fail_next(Kind::send, ENOBUFS);
    CHECK(world.send(client, "lost") == -ENOBUFS);
    CHECK(world.send(client, "sent") == 4);
    world.network.fail_next(Kind::receive, EHOSTUNREACH);
    CHECK(world.receive(accepted) == "error EHOSTUNREACH");
    CHECK(world.receive(accepted) == "sent");
    world.network.fail_next(Kind::shutdown, ENOTCONN);
    CHECK(world.shutdown(client, SHUT_WR) == -ENOTCONN);
    CHECK(world.shutdown(client, SHUT_WR) == 0);
    CHECK(world.receive(accepted) == "");

    world.network.fail_next(Kind::connect, ENETUNREACH);
    CHECK(world.connect(world.port(listener)) == -ENETUNREACH);
    const Instant start = world.network.now();
    world.network.fail_next(Kind::connect, ETIMEDOUT);
    CHECK(world.connect(world.port(listener)) == -ETIMEDOUT);
    CHECK(world.network.now() == start + 127s);
    world.close_all({accepted, client, listener});
}

TEST_CASE("simulated: a receive brings as little as was appointed, the rest comes with the next") {
    World world;
    const auto [one, other] = world.network.connected_pair();
    CHECK(world.send(other, "hello") == 5);
    world.network.shorten_next(Kind::receive, 2);
    CHECK(world.receive(one) == "he");
    CHECK(world.receive(one) == "llo");
    world.close_all({one, other});
}

TEST_CASE("simulated: a send that goes out in pieces completes wholly") {
    World world;
    const auto [one, other] = world.network.connected_pair();
    world.network.shorten_next(Kind::send, 2);
    world.network.shorten_next(Kind::send, 1);
    Sending send(other, "hello");
    CHECK_FALSE(world.submit(send));
    CHECK(world.receive(one) == "he");
    CHECK(world.receive(one) == "l");
    CHECK_FALSE(send.completed);
    world.run_until(send);
    CHECK(send.result == 5);
    CHECK(world.receive(one) == "lo");
    world.close_all({one, other});
}

TEST_CASE("simulated: an operation is reported as late as was appointed") {
    World world;
    const auto [one, other] = world.network.connected_pair();
    CHECK(world.send(other, "hello") == 5);
    const Instant start = world.network.now();
    world.network.delay_next(Kind::receive, 3s);
    CHECK(world.receive(one) == "hello");
    CHECK(world.network.now() == start + 3s);
    world.network.delay_next(Kind::close, 4s);
    world.close_all({one, other});
    CHECK(world.network.now() == start + 7s);
}

TEST_CASE("simulated: bytes, connection requests and ends of stream take their time, and keep their order") {
    World world({.delay = 1, .longest_delay = 10ms});
    const int listener = world.network.listen(0);
    Instant before = world.network.now();
    const auto took_time = [&] { return std::exchange(before, world.network.now()) < before; };
    const int client = world.connect_to(listener);
    CHECK(took_time());
    const int accepted = world.accept(listener);
    for (const char letter : std::string("abcdefghij"))
        CHECK(world.send(client, std::string(1, letter)) == 1);
    CHECK(world.shutdown(client, SHUT_WR) == 0);
    CHECK_FALSE(took_time());
    std::string text;
    while (text.size() < 10) text += world.receive(accepted);
    CHECK(text == "abcdefghij");
    CHECK(world.receive(accepted).empty());
    CHECK(took_time());
    world.close_all({accepted, client, listener});
}

TEST_CASE("simulated: what is on its way when the connection is reset does not arrive") {
    World world({.delay = 1, .longest_delay = 10ms});
    const auto [one, other] = world.network.connected_pair();
    CHECK(world.send(other, "lost") == 4);
    world.network.reset(one);
    world.network.pass(1s);
    CHECK(world.receive(one) == "error ECONNRESET");
    CHECK(world.receive(one).empty());
    world.close_all({one, other});
}

TEST_CASE("simulated: completions of one turn come in any order when they may") {
    const auto comes_in_order = [](double reorder, std::uint64_t seed) {
        World world({.seed = seed, .reorder = reorder});
        const auto [one, other] = world.network.connected_pair();
        const auto [third, fourth] = world.network.connected_pair();
        std::vector<int> order;
        Recorded receive(Kind::receive, one);
        Recorded another(Kind::receive, third);
        receive.order = another.order = &order;
        world.submit(receive);
        world.submit(another);
        CHECK(world.send(other, "x") == 1);
        CHECK(world.send(fourth, "x") == 1);
        world.run_until(receive);
        world.run_until(another);
        const bool in_order = order == std::vector{one, third};
        world.close_all({one, other, third, fourth});
        return in_order;
    };
    int in_order = 0;
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        CHECK(comes_in_order(0, seed));
        in_order += comes_in_order(1, seed) ? 1 : 0;
    }
    CHECK(in_order > 0);
    CHECK(in_order < 20);
}

TEST_CASE("simulated: a reset is told to both ends, behind what had arrived") {
    World world;
    const auto [one, other] = world.network.connected_pair();
    CHECK(world.send(one, "last words") == 10);
    world.network.reset(one);
    CHECK(world.receive(one) == "error ECONNRESET");
    CHECK(world.receive(one) == "");
    CHECK(world.send(one, "x") == -EPIPE);
    CHECK(world.receive(other) == "last words");
    CHECK(world.send(other, "x") == -ECONNRESET);
    CHECK(world.send(other, "x") == -EPIPE);
    CHECK(world.shutdown(other, SHUT_RDWR) == -ENOTCONN);
    world.close_all({one, other});
}

TEST_CASE("simulated: a reset ends what waits at both ends, with the error of choice at one") {
    World world;
    const auto [one, other] = world.network.connected_pair();
    Recorded here(Kind::receive, one);
    Recorded there(Kind::receive, other);
    world.submit(here);
    world.submit(there);
    world.network.reset(one, ETIMEDOUT);
    world.run_until(here);
    world.run_until(there);
    CHECK(here.result == -ETIMEDOUT);
    CHECK(there.result == -ECONNRESET);
    world.close_all({one, other});
}
