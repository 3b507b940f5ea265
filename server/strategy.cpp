#include "server/strategy.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace confab {

namespace {

// A thread pool that nobody sized: enough for a handful of people who think most of the time.
constexpr unsigned pool_threads = 8;
// More threads than this in one process is a typing mistake.
constexpr unsigned most_threads = 4096;

constexpr std::array table{
    NamedStrategy{"sequential", "1 × 1 × blocking", "one client; reading the code first",
                  "everybody else: they wait until the first one leaves"},
    NamedStrategy{"thread", "1 × each × blocking",
                  "up to some thousands of connections, plain code, long computations",
                  "many idle connections (a stack each), connections that come and go (a thread start each)"},
    NamedStrategy{"threadpool", "1 × N × blocking", "short requests, a bound on threads",
                  "long-lived connections: the N+1st waits until one of N leaves"},
    NamedStrategy{"busy", "1 × 1 × busy", "showing why nobody does this",
                  "everything: a core burns even when idle"},
    NamedStrategy{"select", "1 × 1 × select", "portability, a few connections",
                  "many connections: each wait costs all of them, and 1024 is the end"},
    NamedStrategy{"poll", "1 × 1 × poll", "as select, without its limit",
                  "many connections: each wait costs all of them"},
    NamedStrategy{"callback", "1 × 1 × epoll", "seeing what coroutines cost (echo and upper only)",
                  "reading: the handler is a state machine"},
    NamedStrategy{"epoll", "1 × 1 × epoll", "many connections on one core", "handlers that compute for long"},
    NamedStrategy{"uring", "1 × 1 × uring", "fan-out and many small messages: the fewest system calls",
                  "kernels and containers that forbid it (falls back to epoll)"},
    NamedStrategy{"percore", "1 × cores × epoll", "production: all cores, no locks on the way of a message",
                  "few connections: the kernel may put them all on one core"},
};

std::string list_of_names() {
    std::string list;
    for (const NamedStrategy& each : table) list += (list.empty() ? "" : ", ") + std::string(each.name);
    return list;
}

Strategy named(std::string_view name, unsigned processors) {
    Strategy strategy{.name = std::string(name)};
    if (name == "sequential") strategy.waiting = Waiting::blocking;
    if (name == "thread")
        strategy = {.name = "thread", .threads = {ThreadCount::each}, .waiting = Waiting::blocking};
    if (name == "threadpool")
        strategy = {.name = "threadpool", .threads = {pool_threads}, .waiting = Waiting::blocking};
    if (name == "percore") strategy.threads = {processors};
    if (name == "callback") strategy.callbacks = true;
    for (const std::string_view word : {"busy", "select", "poll", "uring"}) {
        if (name == word) strategy.waiting = *waiting_named(word);
    }
    return strategy;
}

std::expected<ThreadCount, std::string> parse_threads(std::string_view text) {
    if (text == "each") return ThreadCount{ThreadCount::each};
    unsigned count = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
    if (error != std::errc() || end != text.data() + text.size() || count == 0 || count > most_threads) {
        return std::unexpected("--threads is `each` or a number from 1 to " + std::to_string(most_threads));
    }
    return ThreadCount{count};
}

}  // namespace

std::span<const NamedStrategy> named_strategies() { return table; }

std::expected<Strategy, std::string> make_strategy(const StrategyRequest& request, unsigned processors) {
    const bool composed = request.name.empty() && (request.threads || request.waiting);
    const std::string name = request.name.empty() ? (composed ? "epoll" : "percore") : request.name;
    if (std::ranges::find(table, name, &NamedStrategy::name) == table.end()) {
        return std::unexpected("--strategy " + name + " is none of " + list_of_names());
    }
    Strategy strategy = named(name, processors);
    if (request.threads) {
        const auto threads = parse_threads(*request.threads);
        if (!threads) return std::unexpected(threads.error());
        strategy.threads = *threads;
    }
    if (request.waiting) {
        const auto waiting = waiting_named(*request.waiting);
        if (!waiting) {
            return std::unexpected("--waiting " + *request.waiting +
                                   " is none of blocking, busy, select, poll, epoll, uring");
        }
        strategy.waiting = *waiting;
    }
    if (strategy.callbacks && (strategy.waiting != Waiting::epoll || strategy.threads != ThreadCount{1})) {
        return std::unexpected(
            "--strategy callback is one thread on epoll: it takes no --threads and no --waiting");
    }
    if (composed) {
        const std::string threads =
            strategy.threads.count == ThreadCount::each ? "each" : std::to_string(strategy.threads.count);
        strategy.name = "1x" + threads + "x" + std::string(confab::name(strategy.waiting));
    }
    return strategy;
}

}  // namespace confab
