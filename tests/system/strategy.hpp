// Internal to tests: the strategy under test, and what it can be asked.
//
// One program holds every test body; which strategy its servers run is an argument, so that each strategy is
// a test of its own to Meson. A body says by its test suite what it needs of a strategy (`needs`, below);
// bodies that need more than the strategy offers are skipped by name, and counted.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace confab::system_tests {

// Names of test suites; doctest splits filters at commas, so they hold none.
namespace needs {
inline constexpr const char* nothing = "";
inline constexpr const char* several_clients = "several clients at once";
inline constexpr const char* chat = "chat";
inline constexpr const char* chat_with_several_clients = "chat with several clients at once";
}  // namespace needs

struct Strategy {
    std::string name;                     // as the argument says it: "epoll", "threads=2,waiting=poll"
    std::vector<std::string> flags = {};  // what selects it: {"--strategy", "epoll"}

    // True exactly when a client is served to its end before the next one is looked at.
    bool one_client_at_a_time = false;

    // False exactly for `callback`, which is there to be measured on echo and upper.
    bool speaks_chat = true;

    // True exactly when each client takes a thread out of a fixed number of them.
    bool thread_per_client_of_a_pool = false;

    // What the line `listening on` must call it: its name, or "1x2xpoll".
    std::string reported_name = {};
};

// Those of the contract that live in one process.
std::span<const std::string_view> strategy_names();

// From a name of the contract, or a triple written "threads=2,waiting=epoll"; throws std::invalid_argument.
Strategy parse_strategy(std::string_view text);

// True exactly when bodies of that test suite can run.
bool offers(const Strategy& strategy, std::string_view need);

// The strategy and the program of this run: set once by main.
const Strategy& strategy_under_test();
const std::string& program_under_test();
void set_under_test(std::string program, Strategy strategy);

}  // namespace confab::system_tests
