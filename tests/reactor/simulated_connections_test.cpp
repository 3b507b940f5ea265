#include <doctest/doctest.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <vector>

#include "tests/reactor/simulated_support.hpp"

using namespace confab;
using namespace std::chrono_literals;
using Kind = Operation::Kind;

TEST_CASE("simulated: descriptors are reused, the lowest first, and no kernel knows them") {
    SimulatedNetwork network;
    std::array<int, 5> fds{};
    for (std::size_t i = 0; i < fds.size(); ++i) {
        fds[i] = network.socket();
        CHECK(fds[i] == 1'000'000 + static_cast<int>(i));
    }
    for (const std::size_t i : {3U, 1U, 2U, 0U}) CHECK(network.close(fds[i]) == 0);
    CHECK(network.close(fds[0]) == -EBADF);
    for (const std::size_t i : {0U, 1U, 2U, 3U}) CHECK(network.socket() == fds[i]);
    for (const int fd : fds) network.close(fd);
    CHECK(network.open_descriptors() == 0);
}

TEST_CASE("simulated: a connect is answered by an accept, and both ends talk") {
    for (const bool lends_scratch : {true, false}) {
        World world({.lends_scratch = lends_scratch});
        const int listener = world.network.listen(0);
        Recorded accept(Kind::accept, listener);
        CHECK_FALSE(world.submit(accept));
        const int client = world.connect_to(listener);
        world.run_until(accept);
        REQUIRE(accept.result > 0);
        CHECK(world.send(client, "ping") == 4);
        CHECK(world.receive(accept.result) == "ping");
        CHECK(world.send(accept.result, "pong") == 4);
        CHECK(world.receive(client) == "pong");
        world.close_all({accept.result, client, listener});
    }
}

TEST_CASE("simulated: connecting where nobody listens is refused") {
    World world;
    CHECK(world.connect(9) == -ECONNREFUSED);
}

TEST_CASE("simulated: an address of another family is not this network's") {
    World world;
    const int fd = world.network.socket();
    const sockaddr address{.sa_family = AF_UNIX, .sa_data = {}};
    Recorded connect(Kind::connect, fd);
    connect.address = {&address, sizeof address};
    CHECK(world.submit(connect));
    CHECK(connect.result == -EAFNOSUPPORT);
    world.close_all({fd});
}

TEST_CASE("simulated: a port is taken once, or shared by all who say so") {
    SimulatedNetwork network;
    const int one = network.listen(80, true);
    CHECK(network.listen(80) == -EADDRINUSE);
    const int other = network.listen(80, true);
    CHECK(network.port(other) == 80);
    std::vector<int> clients;
    while (network.poll(one) == 0 || network.poll(other) == 0) {
        REQUIRE(clients.size() < 100);
        clients.push_back(network.socket());
        CHECK(network.connect(clients.back(), 80) == 0);
    }
    for (const int fd : clients) network.close(fd);
    network.close(one);
    network.close(other);
    CHECK(network.leaks().empty());
}

TEST_CASE("simulated: a connection that finds the backlog full gets in when there is room again") {
    SimulationOptions options;
    options.backlog = 1;
    World world(options);
    const int listener = world.network.listen(0);
    const int first = world.connect_to(listener);
    const Instant start = world.network.now();
    const int second = world.network.socket();
    CHECK(world.network.connect(second, world.port(listener)) == -EINPROGRESS);
    const int accepted = world.network.accept(listener);
    world.network.pass(1s);
    CHECK(world.network.poll(second) == POLLOUT);
    CHECK(world.network.now() == start + 1s);
    world.close_all({first, second, accepted, listener});
}

TEST_CASE("simulated: a connection that never finds room times out as long after as on Linux") {
    SimulationOptions options;
    options.backlog = 1;
    World world(options);
    const int listener = world.network.listen(0);
    const int first = world.connect_to(listener);
    const Instant start = world.network.now();
    CHECK(world.connect(world.port(listener)) == -ETIMEDOUT);
    CHECK(world.network.now() == start + 127s);
    world.close_all({first, listener});
}

TEST_CASE("simulated: a closed listener resets who waits in its backlog") {
    World world;
    const int listener = world.network.listen(0);
    const int client = world.connect_to(listener);
    world.close_all({listener});
    CHECK(world.receive(client) == "error ECONNRESET");
    world.close_all({client});
}

TEST_CASE("simulated: out of descriptors, an accept says EMFILE and the connection is not lost") {
    SimulationOptions options;
    options.descriptor_limit = 2;
    World world(options);
    const int listener = world.network.listen(0);
    const int client = world.connect_to(listener);
    CHECK(world.network.socket() == -EMFILE);
    CHECK(world.send(client, "still here") == 10);
    CHECK(world.accept(listener) == -EMFILE);
    CHECK(world.accept(listener) == -EMFILE);
    world.network.set_descriptor_limit(3);
    const int accepted = world.accept(listener);
    REQUIRE(accepted > 0);
    CHECK(world.receive(accepted) == "still here");
    world.close_all({accepted, client, listener});
}

TEST_CASE("simulated: a connection that dies in the backlog is hidden from the accept") {
    World world;
    const int listener = world.network.listen(0);
    const int doomed = world.connect_to(listener);
    world.network.fail_next(Kind::accept, ECONNABORTED);
    Recorded accept(Kind::accept, listener);
    world.submit(accept);
    CHECK(world.reactor.run() == Reactor::End::deadlock);
    CHECK_FALSE(accept.completed);
    CHECK(world.receive(doomed) == "error ECONNRESET");
    const int client = world.connect_to(listener);
    world.run_until(accept);
    CHECK(accept.result > 0);
    world.close_all({accept.result, doomed, client, listener});
}
