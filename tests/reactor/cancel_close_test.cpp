#include <memory>

#include "tests/reactor/every_mechanism.hpp"

using namespace confab;
using namespace confab::testing;
using namespace std::chrono_literals;

namespace {

int result_when_cancelled(World& world, Call& call) {
    world.start(call);
    world.let_pass();
    REQUIRE_FALSE(call.over);
    world.reactor().cancel(call);
    world.reactor().cancel(call);  // asking twice asks once
    const int result = world.end(call);
    world.reactor().cancel(call);  // and now it is over
    return result;
}

}  // namespace

EVERY_MECHANISM("a receive that is cancelled while it waits says ECANCELED, and no byte is lost") {
    const auto [here, there] = world.pair();
    for (int i = 0; i < 3; ++i) {
        Call receive(Operation::Kind::receive, here);
        CHECK(result_when_cancelled(world, receive) == -ECANCELED);
    }
    CHECK(world.send(there, "for the next") == 12);
    CHECK(world.text_from(here) == "for the next");
}

EVERY_MECHANISM("an accept that is cancelled while it waits says ECANCELED, and no connection is lost") {
    const int listener = world.listener();
    for (int i = 0; i < 3; ++i) {
        Call accept(Operation::Kind::accept, listener);
        CHECK(result_when_cancelled(world, accept) == -ECANCELED);
    }
    CHECK(world.connect(world.socket(), world.sockets().endpoint(listener)) == 0);
    CHECK(world.accept(listener) >= 0);
}

EVERY_MECHANISM("a send that is cancelled while it waits says ECANCELED, though some has gone") {
    const auto [here, there] = world.pair();
    SendCall send(here, {std::string(std::size_t{12} << 20, 'x')});
    CHECK(result_when_cancelled(world, send) == -ECANCELED);
    CHECK(world.text_from(there).size() > 0);
}

EVERY_MECHANISM("a connect that is cancelled while it waits says ECANCELED") {
    if (world.is_unix()) return;
    ConnectCall connect(world.socket(), world.sockets().silence());
    CHECK(result_when_cancelled(world, connect) == -ECANCELED);
}

EVERY_MECHANISM("a poll that is cancelled while it waits says ECANCELED, and the next works") {
    const auto [here, there] = world.pair();
    Call poll(Operation::Kind::poll, here);
    poll.events = POLLIN;
    CHECK(result_when_cancelled(world, poll) == -ECANCELED);
    world.start(poll);
    CHECK(world.send(there, "x") == 1);
    CHECK((world.end(poll) & POLLIN) != 0);
}

EVERY_MECHANISM("an operation may be cancelled before the reactor has run at all") {
    const auto [here, there] = world.pair();
    Call receive(Operation::Kind::receive, here);
    world.start(receive);
    world.reactor().cancel(receive);
    CHECK(world.end(receive) == -ECANCELED);
    CHECK(world.send(there, "x") == 1);
    CHECK(world.text_from(here) == "x");
}

// Both have been collected when the first runs, which cancels the second. It ends once, with its bytes or
// without; without, they are there for the next.
EVERY_MECHANISM("a receive that is cancelled when it is ready loses no byte") {
    for (int i = 0; i < 5; ++i) {
        const auto [here, there] = world.pair();
        const auto [other_here, other_there] = world.pair();
        Call first(Operation::Kind::receive, here);
        Call second(Operation::Kind::receive, other_here);
        int times_over = 0;
        first.when_over = [&](Call&) { world.reactor().cancel(second); };
        second.when_over = [&](Call& self) {
            ++times_over;
            world.reactor().cancel(first);
            CHECK((self.result == 6 || self.result == -ECANCELED));
        };
        world.start(first);
        world.start(second);
        world.let_pass();
        CHECK(world.send(there, "first!") == 6);
        CHECK(world.send(other_there, "second") == 6);
        world.run_until([&] { return first.over && second.over; });
        CHECK(times_over == 1);
        CHECK((first.text.empty() ? world.text_from(here) : first.text) == "first!");
        CHECK((second.text.empty() ? world.text_from(other_here) : second.text) == "second");
    }
}

EVERY_MECHANISM("an accept that is cancelled when it is ready loses no connection") {
    const int listener = world.listener();
    const auto [here, there] = world.pair();
    for (int i = 0; i < 5; ++i) {
        Call receive(Operation::Kind::receive, here);
        Call accept(Operation::Kind::accept, listener);
        receive.when_over = [&](Call&) { world.reactor().cancel(accept); };
        world.start(receive);
        world.start(accept);
        world.let_pass();
        CHECK(world.send(there, "x") == 1);
        const int client = world.socket();
        CHECK(world.connect(client, world.sockets().endpoint(listener)) == 0);
        world.run_until([&] { return receive.over && accept.over; });
        CHECK((accept.result >= 0 || accept.result == -ECANCELED));
        const int server = accept.result >= 0 ? world.keep(accept.result) : world.accept(listener);
        REQUIRE(server >= 0);
        CHECK(world.send(client, "x") == 1);
        CHECK(world.text_from(server) == "x");
    }
}

EVERY_MECHANISM("a close ends the receive that waits, and comes after it") {
    const auto [here, there] = world.pair();
    std::string order;
    Call receive(Operation::Kind::receive, here);
    receive.when_over = [&](Call&) { order += 'r'; };
    world.start(receive);
    world.let_pass();
    Call close(Operation::Kind::close, world.let_go(here));
    close.when_over = [&](Call&) { order += 'c'; };
    CHECK(world.result_of(close) == 0);
    CHECK(order == "rc");
    CHECK(receive.result == -ECANCELED);
    CHECK(world.receive(there) == 0);
}

EVERY_MECHANISM("a release ends what waits, loses no byte, and leaves the descriptor to somebody else") {
    for (int round = 0; round < 20; ++round) {
        const auto [here, there] = world.pair();
        Call receive(Operation::Kind::receive, here);
        world.start(receive);
        if (round % 2 == 0) world.let_pass();
        if (round % 4 < 2) CHECK(world.send(there, "before") == 6);
        if (round % 3 == 0) world.let_pass();
        Call release(Operation::Kind::release, here);
        world.start(release);
        CHECK(world.send(there, " after") == 6);
        world.run_until([&] { return receive.over && release.over; });
        CHECK(release.result == 0);
        std::string text = receive.text + release.text;
        const std::string sent = round % 4 < 2 ? "before after" : " after";
        while (text.size() < sent.size()) {  // by whoever has it now
            Call next(Operation::Kind::receive, here);
            REQUIRE(world.result_of(next) > 0);
            text += next.text;
        }
        CHECK(text == sent);
        CHECK(world.send(here, "back") == 4);
        CHECK(world.text_from(there) == "back");
    }
}

EVERY_MECHANISM("a release ends a send, which says how much has gone") {
    const auto [here, there] = world.pair();
    SendCall send(here, {std::string(std::size_t{12} << 20, 'x')});
    world.start(send);
    world.let_pass();
    Call release(Operation::Kind::release, here);
    CHECK(world.result_of(release) == 0);
    CHECK(send.over);
    CHECK(send.result == -ECANCELED);
    SendCall rest(here, {"end"});
    world.start(rest);
    std::size_t received = 0;
    while (!rest.over || received < send.parts.done + 3) {
        const std::string text = world.text_from(there);
        REQUIRE(!text.empty());
        received += text.size();
        if (received == send.parts.done + 3) CHECK(text.ends_with("end"));
    }
    CHECK(received == send.parts.done + 3);
}

EVERY_MECHANISM("a close ends a receive and a send that wait") {
    const auto [here, there] = world.pair();
    Call receive(Operation::Kind::receive, here);
    SendCall send(here, {std::string(std::size_t{12} << 20, 'x')});
    world.start(receive);
    world.start(send);
    world.let_pass();
    CHECK(world.close(here) == 0);
    CHECK(receive.result == -ECANCELED);
    CHECK(send.result == -ECANCELED);
    CHECK((receive.over && send.over));
}

EVERY_MECHANISM("a close ends an accept, a connect or a poll that waits") {
    const int listener = world.listener();
    Call accept(Operation::Kind::accept, listener);
    world.start(accept);
    world.let_pass();
    CHECK(world.close(listener) == 0);
    CHECK(accept.over);
    CHECK(accept.result == -ECANCELED);

    const auto [here, there] = world.pair();
    Call poll(Operation::Kind::poll, here);
    poll.events = POLLIN;
    world.start(poll);
    world.let_pass();
    CHECK(world.close(here) == 0);
    CHECK(poll.over);
    CHECK(poll.result == -ECANCELED);

    if (world.is_unix()) return;
    const int socket = world.socket();
    ConnectCall connect(socket, world.sockets().silence());
    world.start(connect);
    world.let_pass();
    CHECK(world.close(socket) == 0);
    CHECK(connect.over);
    CHECK(connect.result == -ECANCELED);
}

// Whichever of the two runs first closes the other's descriptor, whose receive has been collected too.
EVERY_MECHANISM("a close of a descriptor whose receive is ready comes after it") {
    for (int i = 0; i < 5; ++i) {
        const auto [here, there] = world.pair();
        const auto [other_here, other_there] = world.pair();
        Call first(Operation::Kind::receive, here);
        Call second(Operation::Kind::receive, other_here);
        std::unique_ptr<Call> close;
        std::string order;
        const auto close_other = [&](Call& other) {
            close = std::make_unique<Call>(Operation::Kind::close, world.let_go(other.fd));
            close->when_over = [&](Call&) {
                CHECK((first.over && second.over));
                order += 'c';
            };
            world.start(*close);
            if (close->over) order += 'c';
        };
        first.when_over = [&](Call&) {
            order += 'r';
            if (!close) close_other(second);
        };
        second.when_over = [&](Call&) {
            order += 'r';
            if (!close) close_other(first);
        };
        world.start(first);
        world.start(second);
        world.let_pass();
        CHECK(world.send(there, "x") == 1);
        CHECK(world.send(other_there, "x") == 1);
        world.run_until([&] { return first.over && second.over && close && close->over; });
        CHECK(order == "rrc");
        CHECK(close->result == 0);
        CHECK((first.result == 1 || second.result == 1));
        const int loser = first.result == 1 ? second.result : first.result;
        CHECK((loser == 1 || loser == -ECANCELED));
    }
}

// Or EBADF, where the close has gone out already.
EVERY_MECHANISM("what is asked of a descriptor while it is being closed is refused") {
    const auto [here, there] = world.pair();
    Call receive(Operation::Kind::receive, here);
    Call late(Operation::Kind::receive, here);
    receive.when_over = [&](Call&) { world.start(late); };
    world.start(receive);
    world.let_pass();
    CHECK(world.close(here) == 0);
    world.run_until([&] { return late.over; });
    CHECK((late.result == -ECANCELED || late.result == -EBADF));
}

EVERY_MECHANISM("a receive may close its own descriptor") {
    const auto [here, there] = world.pair();
    Call close(Operation::Kind::close, world.let_go(here));
    Call receive(Operation::Kind::receive, here);
    receive.when_over = [&](Call&) { world.start(close); };
    world.start(receive);
    CHECK(world.send(there, "bye") == 3);
    world.run_until([&] { return receive.over && close.over; });
    CHECK(receive.text == "bye");
    CHECK(close.result == 0);
    CHECK(world.receive(there) == 0);
}

EVERY_MECHANISM("the peer reads all that was sent before the close") {
    const auto [here, there] = world.pair();
    CHECK(world.send(here, std::string(50'000, 'x')) == 50'000);
    CHECK(world.close(here) == 0);
    CHECK(world.text_from(there, 50'001).size() == 50'000);
}

// The number comes back at once, and nothing that was known of the old descriptor - end of stream, readiness,
// a full buffer - may be taken for the new one's.
EVERY_MECHANISM("a new descriptor with the number of one just closed starts afresh") {
    int same_number = 0;
    for (int i = 0; i < 12; ++i) {
        const auto [here, there] = world.pair();
        if (i % 2 == 0) {
            SendCall send(here, {std::string(std::size_t{12} << 20, 'x')});
            world.start(send);
            CHECK(world.close(there) == 0);
            world.end(send);
        } else {
            Call receive(Operation::Kind::receive, here);
            world.start(receive);
            CHECK(world.send(there, "x") == 1);
            CHECK(world.close(there) == 0);
            CHECK(world.end(receive) == 1);
        }
        CHECK(world.close(here) == 0);

        const auto [new_here, new_there] = world.pair();
        if (new_here == here || new_here == there) ++same_number;
        Call receive(Operation::Kind::receive, new_here);
        world.start(receive);
        world.let_pass();
        CHECK_FALSE(receive.over);
        CHECK(world.send(new_here, "fits") == 4);
        CHECK(world.text_from(new_there) == "fits");
        CHECK(world.send(new_there, "new") == 3);
        CHECK(world.end(receive) == 3);
        CHECK(receive.text == "new");
        CHECK(world.close(new_here) == 0);
        CHECK(world.close(new_there) == 0);
    }
    CHECK(same_number > 0);
}

EVERY_MECHANISM("an accepted descriptor with the number of one just closed starts afresh") {
    const int listener = world.listener();
    for (int i = 0; i < 20; ++i) {
        const int client = world.socket();
        CHECK(world.connect(client, world.sockets().endpoint(listener)) == 0);
        const int server = world.accept(listener);
        REQUIRE(server >= 0);
        Call receive(Operation::Kind::receive, server);
        world.start(receive);
        world.let_pass();
        CHECK_FALSE(receive.over);
        CHECK(world.send(client, "x") == 1);
        CHECK(world.end(receive) == 1);
        CHECK(world.close(client) == 0);
        CHECK(world.receive(server) == 0);
        CHECK(world.close(server) == 0);
    }
}
