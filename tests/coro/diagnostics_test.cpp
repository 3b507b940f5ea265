#include "coro/diagnostics.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "coro/mutex.hpp"
#include "coro/run.hpp"
#include "coro/sleep.hpp"
#include "coro/task_tree.hpp"
#include "tests/reactor/every_mechanism.hpp"

using namespace confab;
using namespace confab::testing;
using namespace std::chrono_literals;

namespace {

task<void> hold_the_loop_until(const std::atomic<bool>& reported) {
    co_await sleep(1ms);
    while (!reported) std::this_thread::yield();
}

// What a watchdog reports of `hold`, which holds the loop until it is told that there was a report.
template <class Hold>
Stall stall_of(Reactor& reactor, Hold hold) {
    const Observed observed(reactor, "the reactor");
    std::atomic<bool> reported = false;
    std::vector<Stall> stalls;  // the watchdog's until it has gone
    {
        const Watchdog watchdog(Watchdog::default_limit, [&](const Stall& stall) {
            stalls.push_back(stall);
            reported = true;
        });
        hold(reported);
    }
    REQUIRE(stalls.size() == 1);
    return stalls.front();
}

task<void> wait_for_oneself(bool& undone) {
    mutex locked;
    const mutex::guard once = co_await locked.lock();
    try {
        const mutex::guard twice = co_await locked.lock();
    } catch (const task_canceled&) {
        undone = true;
    }
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

TEST_CASE("a loop that is held is reported once, with the task that holds it and since which await") {
    Reactor reactor(ReactorOptions{});
    const Stall named = stall_of(reactor, [&](const std::atomic<bool>& reported) {
        run(reactor, hold_the_loop_until(reported), "the culprit");
    });
    CHECK(named.reactor == "the reactor");
    CHECK(named.held >= 100ms);
    CHECK(named.task == std::string("the culprit"));
    CHECK(std::string(named.holder.function_name()).contains("hold_the_loop_until"));
    CHECK(named.text() == "the reactor is held for " + std::to_string(named.held.count()) +
                              " ms by the task 'the culprit' that went on after diagnostics_test.cpp:" +
                              std::to_string(named.holder.line()));
    const Stall nameless = stall_of(
        reactor, [&](const std::atomic<bool>& reported) { run(reactor, hold_the_loop_until(reported), ""); });
    CHECK(nameless.text().contains(" by the task that went on after diagnostics_test.cpp:"));
}

TEST_CASE("a task that has ended is not blamed for work that is no task's") {
    struct Holding : Job {
        explicit Holding(const std::atomic<bool>& flag)
            : Job([](Job& job) noexcept {
                  while (!static_cast<Holding&>(job).reported) std::this_thread::yield();
                  Reactor::current()->stop();
              }),
              reported(flag) {}
        const std::atomic<bool>& reported;
    };
    Reactor reactor(ReactorOptions{});
    const Stall stall = stall_of(reactor, [&](const std::atomic<bool>& reported) {
        run(reactor, []() -> task<void> { co_await sleep(0s); }(), "innocent");
        Holding holding(reported);
        reactor.ready(holding);
        reactor.run();
    });
    CHECK(stall.task == nullptr);
    CHECK(stall.text().ends_with(" ms by work that is no task's"));
}

EVERY_MECHANISM("tasks that wait for one another for ever are a deadlock, which is reported and undone") {
    std::string report;
    bool undone = false;
    try {
        run(world.reactor(), wait_for_oneself(undone), "stuck");
    } catch (const deadlock_error& deadlock) {
        report = deadlock.what();
    }
    CHECK(report.contains("stuck (diagnostics_test.cpp:"));
    CHECK(report.contains(") waits in mutex at diagnostics_test.cpp:"));
    CHECK(undone);
}

TEST_CASE("the task tree says who waits where, indented by who owns whom") {
    Reactor reactor(ReactorOptions{});
    const std::string tree = run(reactor, tree_of_a_family(), "parent");
    CHECK(tree.starts_with("parent (diagnostics_test.cpp:"));
    CHECK(tree.find(") is running\n  sleeper (diagnostics_test.cpp:") != std::string::npos);
    CHECK(tree.find(") waits in sleep at diagnostics_test.cpp:") != std::string::npos);
}

TEST_CASE("outside any task there is no tree") { CHECK(task_tree() == "no tasks\n"); }
