#include "tests/reactor/every_mechanism.hpp"

using namespace confab;
using namespace confab::testing;

EVERY_MECHANISM("a receive that waits is given the bytes that a send brings") {
    const auto [here, there] = world.pair();
    Call receive(Operation::Kind::receive, here);
    world.start(receive);
    CHECK(world.send(there, "hello") == 5);
    CHECK(world.end(receive) == 5);
    CHECK(receive.text == "hello");
}
EVERY_MECHANISM("a receive after the send is given its bytes") {
    const auto [here, there] = world.pair();
    CHECK(world.send(there, "hello") == 5);
    CHECK(world.text_from(here) == "hello");
}
EVERY_MECHANISM("a receive gives zero once the peer has shut down its sending, and again") {
    const auto [here, there] = world.pair();
    CHECK(world.send(there, "last") == 4);
    CHECK(world.shut_down(there, SHUT_WR) == 0);
    CHECK(world.text_from(here) == "last");
    CHECK(world.receive(here) == 0);
    CHECK(world.receive(here) == 0);
}
