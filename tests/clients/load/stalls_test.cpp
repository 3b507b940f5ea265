// The generator against a server whose answer is known: one that stands still for S in every P, and answers
// at once otherwise. To messages that are due evenly it must show P(latency > x) = (S - x) / P, whatever its
// connections can do about it. Everything runs on a virtual clock.
#include <doctest/doctest.h>

#include "clients/load/worker.hpp"
#include "coro/listener.hpp"
#include "coro/run.hpp"
#include "coro/sleep.hpp"
#include "coro/stream.hpp"
#include "reactor/simulated.hpp"

using namespace confab;
using namespace confab::load;
using namespace std::chrono_literals;

namespace {

constexpr Duration stall = 200ms, period = 1s;

// The reactor's timers tick once a millisecond, the client's and then the server's.
constexpr Duration tick = 3ms;

task<void> answer(int fd, Instant start) {
    Stream stream(*Reactor::current(), fd);
    while (true) {
        const Received bytes = co_await stream.receive();
        if (!bytes || bytes->empty()) break;
        const std::vector<std::byte> message(bytes->begin(), bytes->end());
        const Duration into_period = (Reactor::current()->now() - start) % period;
        if (into_period < stall) co_await sleep(stall - into_period);
        if (!co_await stream.send(message)) break;
    }
    co_await stream.close();
}

task<void> serve_with_stalls(int listening) {
    const Instant start = Reactor::current()->now();
    scope connections;
    while (true) {
        const std::expected<int, std::error_code> fd = co_await accept(listening);
        if (!fd) break;
        connections.spawn(answer(*fd, start), "answer");
    }
    connections.request_stop();
    co_await connections.join();
    co_await close_descriptor(listening);
}

struct AtOnce final : Worker::Listener {
    void connected(Worker& worker) override { worker.go(worker.reactor().now()); }
    void measured(Block block) override { blocks.push_back(std::move(block)); }
    std::vector<Block> blocks;
};

struct World {
    SimulatedNetwork network{{.descriptor_limit = 4096}};
    Reactor reactor{{.waiting = Waiting::simulated, .network = &network}};

    LoadResult load(const LoadOptions& options, task<void> (*server)(int)) {
        const int listening = network.listen(0);
        return run(reactor, measure(options, listening, server));
    }

    task<LoadResult> measure(LoadOptions options, int listening, task<void> (*server)(int)) {
        const Pattern pattern(std::size_t{1} << 16U, nullptr);
        AtOnce listener;
        scope servers;
        const child<void> serving = servers.spawn(server(listening), "server");
        LoadResult result;
        {
            Worker worker(reactor, options, {},
                          SimulatedNetwork::endpoint(static_cast<std::uint16_t>(network.port(listening))),
                          pattern, listener, &network);
            result = co_await worker.run();
        }
        result.blocks = std::move(listener.blocks);
        servers.request_stop();
        co_await servers.join();
        co_return result;
    }
};

LoadOptions open_loop(double rate, std::size_t connections) {
    LoadOptions options;
    options.rate = RateProfile(rate);
    options.connections = connections;
    options.duration = 30s;
    options.warmup = 1s;
    return options;
}

double expected_share(Duration x) {
    return x >= stall ? 0 : static_cast<double>((stall - x).count()) / static_cast<double>(period.count());
}

void check_corrected(const LoadResult& result) {
    for (const Duration x : {20ms, 50ms, 100ms, 150ms, 190ms}) {
        CAPTURE(x.count());
        const double share = result.corrected.share_above(x);
        CHECK(share >= expected_share(x + tick));
        CHECK(share <= expected_share(x - tick));
    }
    CHECK(result.corrected.share_above(stall + tick) == 0);
}

}  // namespace

TEST_CASE("stalls of S in every P give P(latency > x) = (S - x) / P") {
    const LoadResult result = World().load(open_loop(500, 200), &serve_with_stalls);
    CHECK(result.faults.all() == 0);
    CHECK(result.never_sent == 0);
    CHECK(result.messages == doctest::Approx(500 * 30).epsilon(0.01));
    check_corrected(result);
}

TEST_CASE(
    "one connection, which the stalls keep from sending, shows the same; its uncorrected latency does not") {
    const LoadResult result = World().load(open_loop(500, 1), &serve_with_stalls);
    CHECK(result.faults.all() == 0);
    check_corrected(result);
    // Of the 500 messages of each period but one was under way when all stood still.
    CHECK(result.uncorrected.share_above(100ms) < 2.0 / 500);
}

TEST_CASE("messages of Poisson's spacing find the same stalls") {
    LoadOptions options = open_loop(500, 200);
    options.spacing = Spacing::poisson;
    options.duration = 200s;
    const LoadResult result = World().load(options, &serve_with_stalls);
    CHECK(result.messages == doctest::Approx(500 * 200).epsilon(0.02));
    for (const Duration x : {50ms, 100ms, 150ms}) {
        CHECK(result.corrected.share_above(x) == doctest::Approx(expected_share(x)).epsilon(0.08));
    }
}

TEST_CASE("a closed loop hides the stalls, which is why there is an open one") {
    LoadOptions options;
    options.connections = 10;
    options.duration = 10s;
    options.size = 64;
    const auto slow_and_stalling = [](int listening) { return serve_with_stalls(listening); };
    options.count = 20'000;  // without a cost a message the virtual clock would stand still between stalls
    const LoadResult result = World().load(options, slow_and_stalling);
    CHECK(result.faults.all() == 0);
    CHECK(result.corrected.share_above(100ms) < 0.01);
}

TEST_CASE("blocks cover the measured time and count every message") {
    const LoadResult result = World().load(open_loop(500, 200), &serve_with_stalls);
    std::uint64_t messages = 0;
    Duration length{};
    for (const Block& block : result.blocks) {
        messages += block.messages;
        length += block.length;
    }
    CHECK(result.blocks.size() == 30);
    CHECK(messages == result.messages);
    CHECK(length == result.measured);
}
