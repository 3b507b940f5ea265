// --cpu-affinity: which processors those who serve stay on.
#include <doctest/doctest.h>
#include <sched.h>

#include <algorithm>
#include <csignal>
#include <set>
#include <string>
#include <vector>

#include "tests/system/children.hpp"
#include "tests/system/client.hpp"
#include "tests/system/server_process.hpp"
#include "tests/system/worker_table.hpp"

namespace confab::system_tests {
namespace {

// The processors that some thread of the process can use alone, as proc_pid_status(5) writes them.
std::vector<std::string> own_processors(pid_t pid) {
    std::vector<std::string> own;
    for (const pid_t thread : threads_of(pid)) {
        const std::string list = status_field(thread, "Cpus_allowed_list");
        const bool is_one =
            !list.empty() && std::ranges::none_of(list, [](char c) { return c == '-' || c == ','; });
        if (is_one) own.push_back(list);
    }
    return own;
}

// This process's, which the server inherits.
std::size_t usable_processors() {
    cpu_set_t set;
    REQUIRE(::sched_getaffinity(0, sizeof set, &set) == 0);
    return static_cast<std::size_t>(CPU_COUNT(&set));
}

// A single processor is everybody's own.
bool has_several_processors() {
    if (usable_processors() > 1) return true;
    MESSAGE("SKIPPED: there is but one processor to stay on");
    return false;
}

TEST_CASE("with --cpu-affinity auto the threads of one process stay on processors of their own") {
    if (!has_several_processors()) return;
    for (const std::string affinity : {"auto", "off"}) {
        CAPTURE(affinity);
        ServerProcess server({.app = "echo",
                              .flags = {"--cpu-affinity", affinity},
                              .strategy = parse_strategy("threads=2,waiting=epoll")});
        const std::vector<std::string> own = own_processors(server.child().pid());
        const std::size_t expected = affinity == "auto" ? 2 : 0;
        CHECK(own.size() == expected);
        CHECK(std::set(own.begin(), own.end()).size() == expected);
        served_clients(server.address(), 3);
        server.stop();
    }
}

TEST_SUITE_BEGIN(needs::number_of_processes);

TEST_CASE("with --cpu-affinity auto each process serves on its own processors, and so does its successor") {
    if (!has_several_processors()) return;
    ServerProcess server(
        {.app = "echo", .flags = {"--cpu-affinity", "auto"}, .strategy = with_processes("2")});
    const auto all_own = [&server] {
        // Those that are replaced end soon.
        const auto nobody_retires = [](const Table& table) { return table.size() == 2 && all_ready(table); };
        std::set<std::string> all;
        for (const pid_t pid : pids_of(wait_for_table(server, nobody_retires))) {
            const std::vector<std::string> own = own_processors(pid);
            CHECK(!own.empty());
            all.insert(own.begin(), own.end());
        }
        return all;
    };
    const std::set<std::string> before = all_own();
    CHECK(before.size() >= 2);
    server.child().signal(SIGHUP);
    server.child().wait_for_said(
        [](const std::string& line) { return line.contains("all workers have been replaced"); },
        "that all workers have been replaced");
    CHECK(all_own() == before);
    served_clients(server.address(), 1);
    server.stop();
}

TEST_SUITE_END();

}  // namespace
}  // namespace confab::system_tests
