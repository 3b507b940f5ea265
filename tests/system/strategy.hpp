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
inline constexpr const char* clients_that_share_a_process = "clients that share a process";
inline constexpr const char* several_processes = "several processes";
inline constexpr const char* number_of_processes = "a number of processes";
inline constexpr const char* chat = "chat";
inline constexpr const char* chat_with_several_clients = "chat with several clients at once";
}  // namespace needs

struct Strategy {
    std::string name;                     // as the argument says it: "epoll", "threads=2,waiting=poll"
    std::vector<std::string> flags = {};  // what selects it: {"--strategy", "epoll"}

    // True exactly when a client is served to its end before the next one is looked at.
    bool one_client_at_a_time = false;

    // False exactly for `callback`, whose connections are state machines.
    bool serves_in_tasks = true;

    // False exactly for `callback`, which serves echo and upper only.
    bool speaks_chat = true;

    // True exactly when each client takes a thread or a process out of a fixed number of them.
    bool serves_as_many_as_it_has = false;

    // True exactly when processes serve that the one that was started has forked.
    bool several_processes = false;

    // True exactly when there is a fixed number of these, and when one is replaced its clients go on with the
    // other.
    bool number_of_processes = false;

    // True exactly when each client has a process of its own, whose descriptors no other uses up.
    bool process_per_client = false;

    // What the line `listening on` must call it: its name, or "1x2xpoll".
    std::string reported_name = {};
};

// Those of the contract.
std::span<const std::string_view> strategy_names();

// From a name of the contract, or a triple written "threads=2,waiting=epoll"; throws std::invalid_argument.
Strategy parse_strategy(std::string_view text);

// The strategy under test with another number of processes. Requires: it has one.
Strategy with_processes(const std::string& number);

// True exactly when bodies of that test suite can run.
bool offers(const Strategy& strategy, std::string_view need);

// The strategy and the program of this run: set once by main.
const Strategy& strategy_under_test();
const std::string& program_under_test();
void set_under_test(std::string program, Strategy strategy);

}  // namespace confab::system_tests
