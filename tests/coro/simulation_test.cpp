// How to test a handler: in a simulated network, by seed, under whatever the options do to it. The handler is
// the one that runs on the kernel's sockets; only the reactor's options differ.
#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

#include "coro/listener.hpp"
#include "coro/run.hpp"
#include "coro/sleep.hpp"
#include "coro/stream.hpp"
#include "reactor/simulated.hpp"

using namespace confab;
using namespace std::chrono_literals;

namespace {

// The handler under test.
task<void> echo(Stream& stream) {
    while (true) {
        const Received bytes = co_await stream.receive();
        if (!bytes || bytes->empty()) co_return;
        const Sent sent = co_await stream.send(*bytes);
        if (!sent) co_return;
    }
}

task<void> serve_one(int fd) {
    Stream stream(*Reactor::current(), fd);
    co_await echo(stream);
    co_await stream.flush();
    co_await stream.close();
}

task<void> serve(int listening, int connections) {
    scope handlers;
    while (connections > 0) {
        const std::expected<int, std::error_code> fd = co_await accept(listening);
        if (fd) {
            handlers.spawn(serve_one(*fd), "echo");
            --connections;
        } else {
            co_await sleep(10ms);  // out of descriptors; the connection waits
        }
    }
    co_await handlers.join();
    co_await close_descriptor(listening);
}

task<std::string> ask(int fd, Endpoint server, std::string question) {
    const std::expected<int, std::error_code> connected = co_await connect(fd, server);
    Stream stream(*Reactor::current(), fd);
    std::string answer;
    if (connected) {
        for (const char letter : question) co_await stream.send(std::string_view(&letter, 1));
        co_await stream.flush();
        CHECK(stream.shutdown_send().has_value());
        while (true) {
            const Received bytes = co_await stream.receive();
            if (!bytes || bytes->empty()) break;
            answer += as_text(*bytes);
        }
    }
    co_await stream.close();
    co_return answer;
}

SimulationOptions hard_times(std::uint64_t seed) {
    SimulationOptions options;
    options.seed = seed;
    options.lends_scratch = seed % 2 == 0;
    options.buffer_size = 32;
    options.delay = options.late = options.short_receive = options.short_send = options.reorder = 0.3;
    options.failure(Operation::Kind::accept) = {.probability = 0.3, .error = EMFILE};
    return options;
}

}  // namespace

TEST_CASE("a handler echoes every byte, whatever the network does, short of a reset") {
    for (std::uint64_t seed = 1; seed <= 100; ++seed) {
        CAPTURE(seed);
        SimulatedNetwork network(hard_times(seed));
        {
            // The server on a reactor of its own, as in another thread or process; who runs when is up to the
            // seed.
            const ReactorOptions options{.waiting = Waiting::simulated, .network = &network};
            Reactor server(options);
            Reactor client(options);
            scope handlers(server);
            scope asking(client);
            handlers.spawn(serve(network.listen(7), 3), "serve");
            std::vector<child<std::string>> answers;
            for (const std::string question : {"one", "and two", "and then, at length, three"}) {
                answers.push_back(
                    asking.spawn(ask(network.socket(), SimulatedNetwork::endpoint(7), question), "ask"));
            }
            const auto over = [&] { return handlers.size() + asking.size() == 0; };
            CHECK(network.run({&server, &client}, over) == Reactor::End::stopped);
            CHECK(answers[0].take() == "one");
            CHECK(answers[1].take() == "and two");
            CHECK(answers[2].take() == "and then, at length, three");
        }
        CHECK(network.leaks() == "");
    }
}

TEST_CASE("a handler that waits for a client's hour waits no time") {
    SimulatedNetwork network;
    Reactor reactor({.waiting = Waiting::simulated, .network = &network});
    const auto [here, there] = network.connected_pair();
    const Instant start = network.now();
    run(reactor, [](int fd, int other, SimulatedNetwork& world) -> task<void> {
        scope handlers;
        handlers.spawn(serve_one(fd), "echo");
        co_await sleep(1h);
        CHECK(world.close(other) == 0);
        co_await handlers.join();
    }(here, there, network));
    CHECK(network.now() >= start + 1h);
    CHECK(network.leaks() == "");
}
