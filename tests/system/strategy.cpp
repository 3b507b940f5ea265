#include "tests/system/strategy.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>

namespace confab::system_tests {
namespace {

constexpr std::array<std::string_view, 10> names{"sequential", "thread",   "threadpool", "busy",  "select",
                                                 "poll",       "callback", "epoll",      "uring", "percore"};

// Enough threads for every client that a body of the chat brings at once.
constexpr const char* pool_threads = "64";

Strategy parse_triple(std::string_view text) {
    Strategy strategy{.name = std::string(text)};
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
        (part.starts_with("threads") ? threads : waiting) = value;
        strategy.flags.insert(strategy.flags.end(), {"--" + std::string(part.substr(0, equals)), value});
    }
    strategy.reported_name = "1x" + threads + "x" + waiting;
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
    Strategy strategy{.name = std::string(text),
                      .flags = {"--strategy", std::string(text)},
                      .one_client_at_a_time = text == "sequential",
                      .speaks_chat = text != "callback",
                      .thread_per_client_of_a_pool = text == "threadpool",
                      .reported_name = std::string(text)};
    if (strategy.thread_per_client_of_a_pool) {
        strategy.flags.insert(strategy.flags.end(), {"--threads", pool_threads});
    }
    return strategy;
}

bool offers(const Strategy& strategy, std::string_view need) {
    const bool several = need == needs::several_clients || need == needs::chat_with_several_clients;
    const bool chat = need == needs::chat || need == needs::chat_with_several_clients;
    return !(several && strategy.one_client_at_a_time) && !(chat && !strategy.speaks_chat);
}

const Strategy& strategy_under_test() { return under_test().strategy; }

const std::string& program_under_test() { return under_test().program; }

void set_under_test(std::string program, Strategy strategy) {
    under_test() = {std::move(program), std::move(strategy)};
}

}  // namespace confab::system_tests
