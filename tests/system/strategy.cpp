#include "tests/system/strategy.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <stdexcept>
#include <utility>

namespace confab::system_tests {
namespace {

constexpr std::array<std::string_view, 14> names{"sequential", "fork",  "thread",  "prefork", "processpool",
                                                 "threadpool", "busy",  "select",  "poll",    "callback",
                                                 "epoll",      "uring", "percore", "hybrid"};

constexpr std::array<std::string_view, 4> with_several_processes{"fork", "prefork", "processpool", "hybrid"};

// Enough of them for every client that a body brings at once.
constexpr const char* pool_processes = "64";

// Enough threads for every client that a body of the chat brings at once.
constexpr const char* pool_threads = "64";

Strategy parse_triple(std::string_view text) {
    Strategy strategy{.name = std::string(text)};
    std::string processes = "1";
    std::string threads = "1";
    std::string waiting = "epoll";
    while (!text.empty()) {
        const std::string_view part = text.substr(0, text.find(','));
        text.remove_prefix(std::min(text.size(), part.size() + 1));
        const std::size_t equals = part.find('=');
        if (equals == std::string_view::npos) {
            throw std::invalid_argument("not a strategy: " + std::string(part));
        }
        const std::string value(part.substr(equals + 1));
        (part.starts_with("processes") ? processes : part.starts_with("threads") ? threads : waiting) = value;
        strategy.flags.insert(strategy.flags.end(), {"--" + std::string(part.substr(0, equals)), value});
    }
    strategy.reported_name = processes + "x" + threads + "x" + waiting;
    strategy.several_processes = processes != "1";
    strategy.number_of_processes = strategy.several_processes && processes != "each";
    strategy.process_per_client = processes == "each";
    return strategy;
}

struct UnderTest {
    std::string program;
    Strategy strategy;
};

UnderTest& under_test() {
    static UnderTest only;
    return only;
}

}  // namespace

std::span<const std::string_view> strategy_names() { return names; }

Strategy parse_strategy(std::string_view text) {
    if (std::ranges::find(names, text) == names.end()) return parse_triple(text);
    const bool several = std::ranges::find(with_several_processes, text) != with_several_processes.end();
    Strategy strategy{
        .name = std::string(text),
        .flags = {"--strategy", std::string(text)},
        .one_client_at_a_time = text == "sequential",
        .serves_in_tasks = text != "callback",
        .speaks_chat = text != "callback",
        .serves_as_many_as_it_has = text == "threadpool" || text == "prefork" || text == "processpool",
        .several_processes = several,
        .number_of_processes = several && text != "fork",
        .process_per_client = text == "fork" || text == "prefork" || text == "processpool",
        .reported_name = std::string(text)};
    if (text == "threadpool") {
        strategy.flags.insert(strategy.flags.end(), {"--threads", pool_threads});
    }
    if (text == "prefork" || text == "processpool") {
        strategy.flags.insert(strategy.flags.end(), {"--processes", pool_processes});
    }
    return strategy;
}

bool offers(const Strategy& strategy, std::string_view need) {
    if (need == needs::several_processes) return strategy.several_processes;
    if (need == needs::number_of_processes) return strategy.number_of_processes;
    if (need == needs::clients_that_share_a_process && strategy.process_per_client) return false;
    const bool several = need == needs::several_clients || need == needs::chat_with_several_clients ||
                         need == needs::clients_that_share_a_process;
    const bool chat = need == needs::chat || need == needs::chat_with_several_clients;
    return !(several && strategy.one_client_at_a_time) && !(chat && !strategy.speaks_chat);
}

const Strategy& strategy_under_test() { return under_test().strategy; }

const std::string& program_under_test() { return under_test().program; }

Strategy with_processes(const std::string& number) {
    Strategy strategy = strategy_under_test();
    const auto option = std::ranges::find(strategy.flags, "--processes");
    if (option == strategy.flags.end()) {
        strategy.flags.insert(strategy.flags.end(), {"--processes", number});
    } else {
        *std::next(option) = number;
    }
    const bool is_triple = std::ranges::find(names, strategy.name) == names.end();
    if (is_triple) strategy.reported_name.replace(0, strategy.reported_name.find('x'), number);
    return strategy;
}

void set_under_test(std::string program, Strategy strategy) {
    under_test() = {std::move(program), std::move(strategy)};
}

}  // namespace confab::system_tests
