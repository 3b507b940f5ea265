#include "coro/blocking.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <latch>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

#include "coro/event.hpp"
#include "coro/scope.hpp"
#include "coro/sleep.hpp"
#include "coro/timeout.hpp"
#include "tests/support/run_task.hpp"

using namespace confab;
using namespace std::chrono_literals;

namespace {

// Until it is asked to stop.
std::string wait_for_stop(const std::stop_token& token) {
    std::latch stopped(1);
    const std::stop_callback release(token, [&stopped] { stopped.count_down(); });
    stopped.wait();
    return "stopped";
}

task<std::string> blocked_until_stopped(std::atomic<bool>& begun) {
    const auto call = [&begun](const std::stop_token& token) {
        begun = true;
        return wait_for_stop(token);
    };
    co_return co_await blocking(call);
}

}  // namespace

TEST_CASE("a blocking call runs on another thread and gives its result, moved") {
    run_task_in_real_time([]() -> task<void> {
        const std::thread::id here = std::this_thread::get_id();
        const std::thread::id there = co_await blocking([] { return std::this_thread::get_id(); });
        CHECK(there != here);
        CHECK(std::this_thread::get_id() == here);
        const std::unique_ptr<int> moved = co_await blocking([] { return std::make_unique<int>(42); });
        CHECK(*moved == 42);
        int changed = 0;
        co_await blocking([&changed] { changed = 1; });
        CHECK(changed == 1);
    }());
}

TEST_CASE("what a blocking call throws comes out of the await") {
    CHECK_THROWS_AS(run_task_in_real_time([]() -> task<int> {
                        co_return co_await blocking([]() -> int { throw std::out_of_range("there"); });
                    }()),
                    std::out_of_range);
}

TEST_CASE("other tasks run while a call blocks") {
    run_task_in_real_time([]() -> task<void> {
        std::latch released(1);
        scope tasks;
        tasks.spawn([](std::latch& gate) -> task<void> {
            co_await sleep(0s);
            gate.count_down();
        }(released));
        co_await blocking([&released] { released.wait(); });
        co_await tasks.join();
    }());
}

TEST_CASE("a request to stop triggers the call's stop token, and the wait gives what the call gives") {
    run_task_in_real_time([]() -> task<void> {
        scope tasks;
        std::atomic<bool> begun = false;
        const child<std::string> work = tasks.spawn(blocked_until_stopped(begun));
        while (!begun) co_await sleep(0s);
        work.kill();
        const std::string result = co_await work.get();
        CHECK(result == "stopped");
        co_await tasks.join();
    }());
}

TEST_CASE("a call that has not begun when its task is asked to stop is not made") {
    run_task_in_real_time([]() -> task<void> {
        Offload pool({.max_threads = 1});
        std::latch begun(2);
        std::latch released(1);
        bool called = false;
        scope tasks;
        tasks.spawn([](Offload& threads, std::latch& begins, std::latch& gate) -> task<void> {
            const auto wait = [&begins, &gate] {
                begins.arrive_and_wait();
                gate.wait();
            };
            co_await blocking(wait, threads);
        }(pool, begun, released));
        co_await sleep(0s);
        begun.arrive_and_wait();
        const child<void> queued = tasks.spawn([](Offload& threads, bool& flag) -> task<void> {
            co_await blocking([&flag] { flag = true; }, threads);
        }(pool, called));
        co_await sleep(0s);
        queued.kill();
        co_await queued.join();
        CHECK(queued.canceled());
        const child<void> stopped_before = tasks.spawn([](Offload& threads, bool& flag) -> task<void> {
            TaskContext::current()->request_stop(StopReason::canceled);
            co_await blocking([&flag] { flag = true; }, threads);
        }(pool, called));
        co_await stopped_before.join();
        CHECK(stopped_before.canceled());
        released.count_down();
        co_await tasks.join();
        CHECK_FALSE(called);
    }());
}

TEST_CASE("many blocking calls at once all come back") {
    const int sum = run_task_in_real_time([]() -> task<int> {
        int total = 0;
        scope tasks;
        for (int i = 1; i <= 500; ++i) {
            tasks.spawn([](int& to, int value) -> task<void> {
                const int same = co_await blocking([value] { return value; });
                to += same;
            }(total, i));
        }
        co_await tasks.join();
        co_return total;
    }());
    CHECK(sum == 500 * 501 / 2);
}
