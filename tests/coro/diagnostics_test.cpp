#include "coro/diagnostics.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <string>

#include "coro/run.hpp"
#include "coro/sleep.hpp"
#include "coro/task_tree.hpp"

using namespace confab;
using namespace std::chrono_literals;

namespace {

task<void> hold_the_loop_until(const std::atomic<bool>& reported) {
    co_await sleep(1ms);
    while (!reported) std::this_thread::yield();
}

task<void> sleep_for_long() { co_await sleep(1h); }

task<std::string> tree_of_a_family() {
    scope tasks;
    child<void> sleeper = tasks.spawn(sleep_for_long(), "sleeper");
    co_await sleep(0s);
    std::string tree = task_tree();
    tasks.request_stop();
    co_await tasks.join();
    co_return tree;
}

}  // namespace

TEST_CASE("a loop that is held is reported once, with who holds it since which await") {
    Reactor reactor(ReactorOptions{});
    const Observed observed(reactor, "the reactor");
    std::atomic<bool> reported = false;
    std::atomic<int> reports = 0;
    Stall seen;
    {
        const Watchdog watchdog(20ms, [&](const Stall& stall) {
            if (reports++ == 0) seen = stall;
            reported = true;
        });
        run(reactor, hold_the_loop_until(reported));
    }
    CHECK(reports == 1);
    CHECK(seen.reactor == "the reactor");
    CHECK(seen.held >= 20ms);
    CHECK(std::string(seen.holder.function_name()).find("hold_the_loop_until") != std::string::npos);
    CHECK(seen.text().find("diagnostics_test.cpp") != std::string::npos);
}

TEST_CASE("the task tree says who waits where, indented by who owns whom") {
    Reactor reactor(ReactorOptions{});
    const std::string tree = run(reactor, tree_of_a_family(), "parent");
    CHECK(tree.starts_with("parent (diagnostics_test.cpp:"));
    CHECK(tree.find(") is running\n  sleeper (diagnostics_test.cpp:") != std::string::npos);
    CHECK(tree.find(") waits in sleep at diagnostics_test.cpp:") != std::string::npos);
}

TEST_CASE("outside any task there is no tree") { CHECK(task_tree() == "no tasks\n"); }
