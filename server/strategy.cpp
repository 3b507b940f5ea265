#include "server/strategy.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace confab {

namespace {

// A pool that nobody sized: enough for a handful of people who think most of the time.
constexpr unsigned pool_workers = 8;
// More threads than this is a typing mistake.
constexpr unsigned most_threads = 4096;

constexpr std::array table{
    NamedStrategy{"sequential", "1 × 1 × blocking", "one client; reading the code first",
                  "everybody else: they wait until the first one leaves"},
    NamedStrategy{"fork", "each × 1 × blocking",
                  "isolation: a crash ends one conversation; the oldest way there is",
                  "connections that come and go (a fork each), many of them (a process each)"},
    NamedStrategy{"thread", "1 × each × blocking",
                  "up to some thousands of connections, plain code, long computations",
                  "many idle connections (a stack each), connections that come and go (a thread start each)"},
    NamedStrategy{"prefork", "N × 1 × blocking", "isolation without a fork for each; short requests",
                  "long-lived connections: the N+1st waits until one of N leaves"},
    NamedStrategy{"processpool", "N (fed) × 1 × blocking",
                  "as prefork, where the parent decides who gets what",
                  "long-lived connections; one more hop for each new one"},
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
    NamedStrategy{"hybrid", "N × M × epoll",
                  "production: all cores, and a crash ends only some conversations",
                  "memory: each process has its own"},
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
        strategy = {.name = "threadpool", .threads = {pool_workers}, .waiting = Waiting::blocking};
    if (name == "percore") strategy.threads = {processors};
    if (name == "fork" || name == "prefork" || name == "processpool") strategy.waiting = Waiting::blocking;
    if (name == "fork") strategy.processes = {.kind = ProcessCount::Kind::each};
    if (name == "prefork") strategy.processes = {.kind = ProcessCount::Kind::fork, .count = pool_workers};
    if (name == "processpool") strategy.processes = {.kind = ProcessCount::Kind::feed, .count = pool_workers};
    if (name == "hybrid") {
        strategy.processes = {.kind = ProcessCount::Kind::fork, .count = 2};
        strategy.threads = {std::max(2U, processors / 2)};
    }
    if (name == "callback") strategy.callbacks = true;
    for (const std::string_view word : {"busy", "select", "poll", "uring"}) {
        if (name == word) strategy.waiting = *waiting_named(word);
    }
    return strategy;
}

std::expected<unsigned, std::string> parse_count(std::string_view option, std::string_view text,
                                                 unsigned most) {
    unsigned count = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
    if (error != std::errc() || end != text.data() + text.size() || count == 0 || count > most) {
        return std::unexpected(std::string(option) + " is `each` or a number from 1 to " +
                               std::to_string(most));
    }
    return count;
}

std::expected<ThreadCount, std::string> parse_threads(std::string_view text) {
    if (text == "each") return ThreadCount{ThreadCount::each};
    const auto count = parse_count("--threads", text, most_threads);
    if (!count) return std::unexpected(count.error());
    return ThreadCount{*count};
}

// A number keeps the way in which the strategy brings connections to its processes.
std::expected<ProcessCount, std::string> parse_processes(std::string_view text, ProcessCount::Kind kind) {
    if (text == "each") return ProcessCount{.kind = ProcessCount::Kind::each};
    const auto count = parse_count("--processes", text, most_processes);
    if (!count) return std::unexpected(count.error());
    const bool feeds = kind == ProcessCount::Kind::feed;
    if (*count == 1 && !feeds) return ProcessCount{};
    return ProcessCount{.kind = feeds ? kind : ProcessCount::Kind::fork, .count = *count};
}

std::string text_of(ProcessCount processes) {
    return processes.kind == ProcessCount::Kind::each ? "each" : std::to_string(processes.count);
}

std::string text_of(ThreadCount threads) {
    return threads.count == ThreadCount::each ? "each" : std::to_string(threads.count);
}

// What makes no sense, and why; empty when it does.
std::string fault_of(const Strategy& strategy) {
    const bool several_threads = strategy.threads != ThreadCount{1};
    if (strategy.callbacks &&
        (strategy.waiting != Waiting::epoll || several_threads || strategy.processes.several())) {
        return "--strategy callback is one thread on epoll: it takes no --processes, --threads and --waiting";
    }
    if (strategy.processes.kind == ProcessCount::Kind::each && several_threads) {
        return "--processes each gives a process one connection, for which more than one --threads has no "
               "use";
    }
    return {};
}

}  // namespace

std::span<const NamedStrategy> named_strategies() { return table; }

std::expected<Strategy, std::string> make_strategy(const StrategyRequest& request, unsigned processors) {
    const bool composed = request.name.empty() && (request.processes || request.threads || request.waiting);
    const std::string name = request.name.empty() ? (composed ? "epoll" : "percore") : request.name;
    if (std::ranges::find(table, name, &NamedStrategy::name) == table.end()) {
        return std::unexpected("--strategy " + name + " is none of " + list_of_names());
    }
    Strategy strategy = named(name, processors);
    if (request.processes) {
        const auto processes = parse_processes(*request.processes, strategy.processes.kind);
        if (!processes) return std::unexpected(processes.error());
        strategy.processes = *processes;
    }
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
    if (std::string fault = fault_of(strategy); !fault.empty()) return std::unexpected(std::move(fault));
    if (composed) {
        strategy.name = text_of(strategy.processes) + "x" + text_of(strategy.threads) + "x" +
                        std::string(confab::name(strategy.waiting));
    }
    return strategy;
}

}  // namespace confab
