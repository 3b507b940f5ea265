#include <fcntl.h>

#include <memory>
#include <set>

#include "tests/reactor/every_mechanism.hpp"

using namespace confab;
using namespace confab::testing;

EVERY_MECHANISM("a connect and an accept meet, and bytes go both ways") {
    const int listener = world.listener();
    Call accept(Operation::Kind::accept, listener);
    world.start(accept);
    const int client = world.socket();
    CHECK(world.connect(client, world.sockets().endpoint(listener)) == 0);
    const int server = world.end(accept);
    REQUIRE(server >= 0);
    world.keep(server);
    CHECK(world.send(client, "there") == 5);
    CHECK(world.text_from(server) == "there");
    CHECK(world.send(server, "and back") == 8);
    CHECK(world.text_from(client) == "and back");
}

EVERY_MECHANISM("a connection that nobody was waiting for is accepted later") {
    const int listener = world.listener();
    const int client = world.socket();
    CHECK(world.connect(client, world.sockets().endpoint(listener)) == 0);
    const int server = world.accept(listener);
    REQUIRE(server >= 0);
    CHECK(world.send(client, "x") == 1);
    CHECK(world.text_from(server) == "x");
}

EVERY_MECHANISM("several accepts in flight are given a connection each") {
    const int listener = world.listener();
    constexpr std::size_t count = 5;
    std::vector<std::unique_ptr<Call>> accepts;
    for (std::size_t i = 0; i < count; ++i) {
        accepts.push_back(std::make_unique<Call>(Operation::Kind::accept, listener));
        world.start(*accepts.back());
    }
    for (std::size_t i = 0; i < count; ++i) {
        CHECK(world.connect(world.socket(), world.sockets().endpoint(listener)) == 0);
    }
    std::set<int> servers;
    for (const auto& accept : accepts) {
        const int server = world.end(*accept);
        REQUIRE(server >= 0);
        servers.insert(world.keep(server));
    }
    CHECK(servers.size() == count);
}

EVERY_MECHANISM("many connections in the queue are all accepted, one after the other") {
    const int listener = world.listener();
    constexpr int count = 40;
    for (int i = 0; i < count; ++i) {
        REQUIRE(world.connect(world.socket(), world.sockets().endpoint(listener)) == 0);
    }
    std::set<int> servers;
    for (int i = 0; i < count; ++i) servers.insert(world.accept(listener));
    CHECK(servers.size() == count);
    CHECK(*servers.begin() >= 0);
}

EVERY_MECHANISM("a connect to where nobody listens is refused") {
    CHECK(world.connect(world.socket(), world.sockets().nowhere()) == -ECONNREFUSED);
}

EVERY_MECHANISM("out of descriptors, accept says EMFILE and the connection stays in the queue") {
    const int listener = world.listener();
    const int client = world.socket();
    const int spare = world.socket();
    Call warm(Operation::Kind::accept, listener);  // whatever the mechanism makes at its first wait is made
    warm.deadline = after(world.reactor().now(), std::chrono::milliseconds(1));
    CHECK(world.result_of(warm) == -ETIMEDOUT);

    world.sockets().leave_descriptors(0);
    CHECK(world.connect(client, world.sockets().endpoint(listener)) == 0);
    CHECK(world.accept(listener) == -EMFILE);
    CHECK(world.accept(listener) == -EMFILE);
    CHECK(world.close(spare) == 0);
    const int server = world.accept(listener);
    REQUIRE(server >= 0);
    CHECK(world.send(client, "still here") == 10);
    CHECK(world.text_from(server) == "still here");
}

EVERY_REAL_MECHANISM("an accepted descriptor is closed on exec") {
    const int listener = world.listener();
    CHECK(world.connect(world.socket(), world.sockets().endpoint(listener)) == 0);
    const int server = world.accept(listener);
    REQUIRE(server >= 0);
    CHECK((::fcntl(server, F_GETFD) & FD_CLOEXEC) != 0);
}

EVERY_REAL_MECHANISM("a socket that does not listen accepts nothing: EINVAL") {
    CHECK(world.accept(world.socket()) == -EINVAL);
}

EVERY_REAL_MECHANISM("what is no descriptor is EBADF to every operation") {
    const int closed = world.sockets().socket();
    world.sockets().close(closed);
    const Endpoint nowhere = world.sockets().nowhere();
    for (const int fd : {-1, closed, 999'999'999}) {
        CAPTURE(fd);
        CHECK(world.accept(fd) == -EBADF);
        CHECK(world.connect(fd, nowhere) == -EBADF);
        CHECK(world.receive(fd) == -EBADF);
        CHECK(world.send(fd, "x") == -EBADF);
        CHECK(world.shut_down(fd, SHUT_WR) == -EBADF);
        CHECK(world.close(fd) == -EBADF);
        Call poll(Operation::Kind::poll, fd);
        poll.events = POLLIN;
        CHECK(world.result_of(poll) == -EBADF);
    }
}

EVERY_REAL_MECHANISM("a connect to a Unix listener whose queue is full says EAGAIN") {
    if (!world.is_unix()) return;
    const int listener = world.listener();
    REQUIRE(::listen(listener, 0) == 0);
    CHECK(world.connect(world.socket(), world.sockets().endpoint(listener)) == 0);
    CHECK(world.connect(world.socket(), world.sockets().endpoint(listener)) == -EAGAIN);
}
