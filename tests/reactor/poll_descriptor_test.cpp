// Foreign descriptors: not served by the reactor, only polled.
#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <vector>

#include "tests/reactor/every_mechanism.hpp"

using namespace confab;
using namespace confab::testing;

namespace {

struct PollCall : Call {
    PollCall(const Fd& fd, short wanted) : Call(Kind::poll, fd.get()) { events = wanted; }
};

struct Pipe {
    Pipe() {
        std::array<int, 2> ends{};
        REQUIRE(::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) == 0);
        reader = Fd(ends[0]);
        writer = Fd(ends[1]);
    }
    void write() const { REQUIRE(::write(writer.get(), "x", 1) == 1); }
    void read() const {
        char byte = 0;
        REQUIRE(::read(reader.get(), &byte, 1) == 1);
    }
    Fd reader;
    Fd writer;
};

}  // namespace

EVERY_REAL_MECHANISM("a poll of a pipe waits for a byte, and takes none") {
    const Pipe pipe;
    for (int i = 0; i < 5; ++i) {
        PollCall poll(pipe.reader, POLLIN);
        world.start(poll);
        world.let_pass();
        CHECK_FALSE(poll.over);
        pipe.write();
        CHECK(world.end(poll) == POLLIN);
        PollCall again(pipe.reader, POLLIN);
        CHECK(world.result_of(again) == POLLIN);
        pipe.read();
    }
}

EVERY_REAL_MECHANISM("a poll of a pipe is told that its writer is gone") {
    Pipe pipe;
    PollCall poll(pipe.reader, POLLIN);
    world.start(poll);
    world.let_pass();
    pipe.writer = Fd();
    CHECK((world.end(poll) & POLLHUP) != 0);
}

EVERY_REAL_MECHANISM("a poll of a pipe waits for room") {
    const Pipe pipe;
    while (::write(pipe.writer.get(), "0123456789", 10) > 0) {
    }
    PollCall poll(pipe.writer, POLLOUT);
    world.start(poll);
    world.let_pass();
    CHECK_FALSE(poll.over);
    std::array<char, 65536> buffer{};
    while (::read(pipe.reader.get(), buffer.data(), buffer.size()) > 0) {
    }
    CHECK((world.end(poll) & POLLOUT) != 0);
}

EVERY_REAL_MECHANISM("a poll of an eventfd waits for a write") {
    const Fd event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    REQUIRE(event);
    for (int i = 0; i < 5; ++i) {
        PollCall poll(event, POLLIN);
        world.start(poll);
        world.let_pass();
        CHECK_FALSE(poll.over);
        REQUIRE(::eventfd_write(event.get(), 1) == 0);
        CHECK(world.end(poll) == POLLIN);
        eventfd_t count = 0;
        REQUIRE(::eventfd_read(event.get(), &count) == 0);
    }
    PollCall writable(event, POLLIN | POLLOUT);
    CHECK(world.result_of(writable) == POLLOUT);
}

EVERY_REAL_MECHANISM("a poll of a file is over at once") {
    const Fd file(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
    REQUIRE(file);
    PollCall poll(file, POLLIN);
    CHECK((world.result_of(poll) & POLLIN) != 0);
}

EVERY_REAL_MECHANISM("a number that was polled may be closed by its owner and become a socket's") {
    int same_number = 0;
    for (int i = 0; i < 10; ++i) {
        int number = -1;
        {
            const Fd for_listener(::eventfd(0, EFD_CLOEXEC));  // in `pair`, which makes one first
            const Fd event(::eventfd(0, EFD_CLOEXEC));
            number = event.get();
            PollCall poll(event, POLLIN);
            world.start(poll);
            world.let_pass();
            if (i % 2 == 0) {
                REQUIRE(::eventfd_write(event.get(), 1) == 0);
                CHECK(world.end(poll) == POLLIN);
            } else {
                world.reactor().cancel(poll);
                CHECK(world.end(poll) == -ECANCELED);
            }
        }
        const auto [here, there] = world.pair();
        if (here == number || there == number) ++same_number;
        for (const auto& [one, other] : {Sockets::Pair{here, there}, Sockets::Pair{there, here}}) {
            Call receive(Operation::Kind::receive, one);
            world.start(receive);
            world.let_pass();
            CHECK_FALSE(receive.over);
            CHECK(world.send(other, "x") == 1);
            CHECK(world.end(receive) == 1);
        }
        CHECK(world.close(here) == 0);
        CHECK(world.close(there) == 0);
    }
    CHECK(same_number > 0);
}

EVERY_REAL_MECHANISM("a socket that was polled can be served") {
    const auto [here, there] = world.pair();
    Call poll(Operation::Kind::poll, here);
    poll.events = POLLIN;
    world.start(poll);
    world.let_pass();
    CHECK(world.send(there, "one") == 3);
    CHECK((world.end(poll) & POLLIN) != 0);
    CHECK(world.text_from(here) == "one");
    Call receive(Operation::Kind::receive, here);
    world.start(receive);
    world.let_pass();
    CHECK_FALSE(receive.over);
    CHECK(world.send(there, "two") == 3);
    CHECK(world.end(receive) == 3);
    Call ready(Operation::Kind::poll, here);
    ready.events = POLLIN | POLLOUT;
    CHECK(world.result_of(ready) == POLLOUT);
}

EVERY_REAL_MECHANISM("polls of many descriptors are each told of their own") {
    std::array<Pipe, 20> pipes;
    std::vector<std::unique_ptr<PollCall>> polls;
    for (const Pipe& pipe : pipes) {
        polls.push_back(std::make_unique<PollCall>(pipe.reader, POLLIN));
        world.start(*polls.back());
    }
    for (std::size_t i = pipes.size(); i-- > 0;) {
        world.let_pass();
        CHECK_FALSE(polls[i]->over);
        pipes[i].write();
        CHECK(world.end(*polls[i]) == POLLIN);
    }
}
