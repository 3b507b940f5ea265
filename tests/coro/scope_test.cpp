#include "coro/scope.hpp"

#include <doctest/doctest.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "coro/event.hpp"
#include "coro/sleep.hpp"
#include "tests/support/run_task.hpp"

using namespace confab;
using namespace std::chrono_literals;

namespace {

task<void> wait_for_ever() {
    event never_set;
    co_await never_set.wait();
}

task<void> fail_after(Duration delay) {
    co_await sleep(delay);
    throw std::runtime_error("failed");
}

task<int> give(int value) {
    co_await sleep(0s);
    co_return value;
}

task<void> spawn_more(scope& tasks, int depth, int& ended) {
    co_await sleep(1ms);
    if (depth > 0) {
        tasks.spawn(spawn_more(tasks, depth - 1, ended));
        tasks.spawn(spawn_more(tasks, depth - 1, ended));
    }
    ++ended;
}

}  // namespace

TEST_CASE("a scope joins what its tasks spawn in it while it is being joined") {
    run_task([]() -> task<void> {
        int ended = 0;
        scope tasks;
        tasks.spawn(spawn_more(tasks, 5, ended));
        co_await tasks.join();
        CHECK(ended == 63);
        CHECK(tasks.size() == 0);
    }());
}

TEST_CASE("a scope whose last task has gone is joined on when another is spawned before the joiner runs") {
    run_task([]() -> task<void> {
        bool spawned_late = false;
        scope tasks;
        const child<void> first = tasks.spawn([]() -> task<void> { co_return; }());
        first.link([&](ChildBase&) {
            tasks.spawn([](scope& all, bool& done) -> task<void> {
                co_await sleep(1ms);
                done = all.size() == 1;
            }(tasks, spawned_late));
        });
        co_await tasks.join();
        CHECK(spawned_late);
    }());
}

TEST_CASE("the first failure stops the siblings and comes out of the join; the second does not") {
    run_task([]() -> task<void> {
        scope tasks;
        const child<void> waiting = tasks.spawn(wait_for_ever());
        tasks.spawn(fail_after(1ms));
        const child<void> stopped = tasks.spawn(fail_after(1h));
        std::string what;
        try {
            co_await tasks.join();
        } catch (const std::runtime_error& error) {
            what = error.what();
        }
        CHECK(what == "failed");
        CHECK(waiting.canceled());
        CHECK(stopped.canceled());
        co_await tasks.join();  // is said once
    }());
}

TEST_CASE("a scope that ignores failures leaves them to whoever holds the child") {
    run_task([]() -> task<void> {
        scope tasks(OnFailure::ignore);
        const child<void> failed = tasks.spawn(fail_after(0s));
        const child<int> other = tasks.spawn(give(1));
        co_await tasks.join();
        CHECK(failed.failed());
        CHECK(other.successful());
        CHECK_THROWS_AS(std::rethrow_exception(failed.exception()), std::runtime_error);
    }());
}

TEST_CASE(
    "a task that joins and is asked to stop asks its children, with the same reason, and still joins them") {
    run_task([]() -> task<void> {
        std::string log;
        scope tasks;
        const child<void> parent = tasks.spawn([](std::string& text) -> task<void> {
            scope inner;
            inner.spawn([](std::string& trace) -> task<void> {
                try {
                    co_await wait_for_ever();
                } catch (const task_canceled& canceled) {
                    trace += canceled.reason() == StopReason::timed_out ? "timed out," : "cancelled,";
                }
                const shield undisturbed;
                co_await sleep(1h);
                trace += "child,";
            }(text));
            co_await inner.join();
            text += "parent";
        }(log));
        co_await sleep(1ms);
        parent.base().request_stop(StopReason::timed_out);
        co_await tasks.join();
        CHECK(log == "timed out,child,parent");
    }());
}

TEST_CASE("a task that is ready when it is asked to stop has the result of its wait, and stops at the next") {
    run_task([]() -> task<void> {
        std::string log;
        scope tasks;
        event door;
        const child<void> ready = tasks.spawn([](event& awaited, std::string& text) -> task<void> {
            co_await awaited.wait();
            text += "first ";
            co_await sleep(0s);
            text += "never";
        }(door, log));
        const child<void> sleeper = tasks.spawn([](std::string& text) -> task<void> {
            co_await sleep(0s);
            text += "slept ";
            co_await sleep(0s);
            text += "never";
        }(log));
        co_await sleep(0s);
        door.set();
        ready.kill();
        sleeper.kill();
        co_await tasks.join();
        CHECK(ready.canceled());
        CHECK(sleeper.canceled());
        CHECK(log == "slept first ");
    }());
}

TEST_CASE("in_scope joins all and gives the function's result") {
    const int value = run_task(in_scope(
        [](scope& tasks, int start) -> task<int> {
            const child<int> one = tasks.spawn(give(start));
            const child<int> two = tasks.spawn(give(2));
            const int first = co_await one.get();
            const int second = co_await two.get();
            co_return first + second;
        },
        40));
    CHECK(value == 42);
}

TEST_CASE("in_scope stops its tasks when the function throws, and throws that") {
    std::string log;
    CHECK_THROWS_AS(run_task(in_scope(
                        [](scope& tasks, std::string& text) -> task<void> {
                            tasks.spawn([](std::string& trace) -> task<void> {
                                try {
                                    co_await wait_for_ever();
                                } catch (const task_canceled&) {
                                    trace += "stopped";
                                }
                            }(text));
                            co_await sleep(0s);
                            throw std::invalid_argument("function");
                        },
                        std::ref(log))),
                    std::invalid_argument);
    CHECK(log == "stopped");
}

TEST_CASE("in_scope stops the function, too, when one of its tasks fails, and throws that failure") {
    CHECK_THROWS_AS(run_task(in_scope([](scope& tasks) -> task<int> {
                        tasks.spawn(fail_after(1ms));
                        co_await wait_for_ever();
                        co_return 1;
                    })),
                    std::runtime_error);
}

TEST_CASE("in_scope that is asked to stop is over when all in it is, and ends as cancelled") {
    run_task([]() -> task<void> {
        int ended = 0;
        scope tasks;
        const child<int> work = tasks.spawn(in_scope(
            [](scope& inner, int& count) -> task<int> {
                for (int i = 0; i < 3; ++i) {
                    inner.spawn([](int& ends) -> task<void> {
                        try {
                            co_await wait_for_ever();
                        } catch (const task_canceled&) {
                            ++ends;
                        }
                    }(count));
                }
                co_await wait_for_ever();
                co_return 1;
            },
            std::ref(ended)));
        co_await sleep(1ms);
        work.kill();
        co_await tasks.join();
        CHECK(work.canceled());
        CHECK(ended == 3);
    }());
}

TEST_CASE("a stop that is requested before the scope spawns keeps what is spawned from beginning") {
    run_task([]() -> task<void> {
        scope tasks;
        CHECK(tasks.request_stop());
        CHECK_FALSE(tasks.request_stop(StopReason::timed_out));
        const child<void> never_begun = tasks.spawn([]() -> task<void> {
            FAIL("it began");
            co_return;
        }());
        co_await tasks.join();
        CHECK(never_begun.canceled());
    }());
}

TEST_CASE("the stop token of a task is triggered with the request, before it or after it was asked for") {
    run_task([]() -> task<void> {
        std::vector<bool> seen;
        scope tasks;
        const child<void> work = tasks.spawn([](std::vector<bool>& notes) -> task<void> {
            const std::stop_token token = TaskContext::current()->stop_token();
            notes.push_back(token.stop_requested());
            try {
                co_await wait_for_ever();
            } catch (const task_canceled&) {
                notes.push_back(token.stop_requested());
                notes.push_back(TaskContext::current()->stop_token().stop_requested());
            }
        }(seen));
        co_await sleep(0s);
        work.kill();
        co_await tasks.join();
        CHECK(seen == std::vector{false, true, true});
    }());
}
