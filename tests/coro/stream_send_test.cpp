// What a send promises, under every mechanism: when it returns the bytes are written or queued, up to a
// bound; past that the sender waits.
#include <string>

#include "coro/run.hpp"
#include "coro/stream.hpp"
#include "tests/reactor/every_mechanism.hpp"

using namespace confab;
using namespace confab::testing;

namespace {

constexpr std::size_t bound = std::size_t{64} * 1024;  // as the header says

task<std::size_t> send_until_half_the_bound_is_queued(Stream& stream) {
    const std::string piece(1000, 'x');
    std::size_t sent = 0;
    while (stream.outbox().size() < bound / 2) {
        const Sent outcome = co_await stream.send(piece);
        REQUIRE(outcome);
        sent += piece.size();
    }
    co_return sent;
}

task<Sent> send_as_much_as_the_bound(Stream& stream) {
    const std::string piece(bound, 'y');
    co_return co_await stream.send(piece);
}

task<void> close(Stream& stream) { co_await stream.close(); }

}  // namespace

EVERY_MECHANISM("a send to a peer who does not read returns while little is queued, and past that waits") {
    const auto [here, there] = world.pair();
    Stream stream(world.reactor(), world.let_go(here));
    const std::size_t sent = run(world.reactor(), send_until_half_the_bound_is_queued(stream));
    CHECK(stream.outbox().size() < bound / 2 + 1000);
    {
        scope waiting(world.reactor());
        const child<Sent> send = waiting.spawn(send_as_much_as_the_bound(stream), "send");
        world.let_pass();
        CHECK_FALSE(send.ready());
        const std::string text = world.text_from(there, sent + bound);
        CHECK((text == std::string(sent, 'x') + std::string(bound, 'y')));
        run_until_joined(world.reactor(), waiting);
        CHECK(send.take().has_value());
        CHECK(stream.outbox().empty());
    }
    run(world.reactor(), close(stream));
}

EVERY_MECHANISM("a send that is asked to stop while it waits leaves what it queued to go out") {
    const auto [here, there] = world.pair();
    Stream stream(world.reactor(), world.let_go(here));
    const std::size_t sent = run(world.reactor(), send_until_half_the_bound_is_queued(stream));
    {
        scope waiting(world.reactor());
        const child<Sent> send = waiting.spawn(send_as_much_as_the_bound(stream), "send");
        world.let_pass();
        waiting.request_stop();
        run_until_joined(world.reactor(), waiting);
        CHECK(send.take().error() == std::errc::operation_canceled);
    }
    CHECK(world.text_from(there, sent + bound).size() == sent + bound);
    run(world.reactor(), close(stream));
}
