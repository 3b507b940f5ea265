#include "coro/timeout.hpp"

#include <doctest/doctest.h>

#include <stdexcept>
#include <string>
#include <thread>

#include "coro/event.hpp"
#include "coro/sleep.hpp"
#include "tests/support/run_task.hpp"

using namespace confab;
using namespace std::chrono_literals;

namespace {

task<int> give_after(Duration delay, int value) {
    co_await sleep(delay);
    co_return value;
}

task<std::string> why_it_ended(Duration limit) {
    try {
        const auto value = co_await with_timeout(limit, give_after(1h, 1));
        co_return value ? "value" : value.error().message();
    } catch (const task_canceled& canceled) {
        co_return canceled.reason() == StopReason::timed_out ? "thrown: out of time" : "thrown: cancelled";
    }
}

task<void> wait_for_ever() {
    event never_set;
    co_await never_set.wait();
}

}  // namespace

TEST_CASE("a body with time enough gives its result") {
    const auto value = run_task(with_timeout(1h, give_after(1ms, 42)));
    CHECK(value == 42);
}

TEST_CASE("a body without time enough gives timed_out, and no_limit is never") {
    const auto value = run_task(with_timeout(1ms, give_after(1h, 42)));
    REQUIRE_FALSE(value);
    CHECK(value.error() == std::errc::timed_out);
    CHECK(run_task(with_timeout(no_limit, give_after(24h * 365 * 20, 42))) == 42);
}

TEST_CASE("a limit of zero or less lets the body do what it can without waiting") {
    const auto immediate = []() -> task<int> { co_return 1; };
    CHECK(run_task(with_timeout(0s, immediate())) == 1);
    CHECK(run_task(with_timeout(-1s, immediate())) == 1);
    CHECK_FALSE(run_task(with_timeout(-1s, give_after(1ms, 1))));
}

TEST_CASE("what the body throws comes out of the time limit") {
    const auto fails = []() -> task<int> {
        co_await sleep(1ms);
        throw std::runtime_error("body");
    };
    CHECK_THROWS_AS((void)run_task(with_timeout(1h, fails())), std::runtime_error);
}

TEST_CASE(
    "of two limits the one that passes first speaks: the inner as a value, the outer through the inner") {
    const auto inner_first = run_task(with_timeout(1h, why_it_ended(1ms)));
    CHECK(inner_first == std::make_error_code(std::errc::timed_out).message());
    std::string said;
    run_task([](std::string& text) -> task<void> {
        const auto outer = co_await with_timeout(1ms, why_it_ended(1h));
        CHECK(outer == "thrown: out of time");
        const auto nested = co_await with_timeout(1ms, with_timeout(1h, with_timeout(2h, give_after(3h, 1))));
        CHECK(nested.error() == std::errc::timed_out);
        text = "done";
    }(said));
    CHECK(said == "done");
}

TEST_CASE("a body whose parent is asked to stop ends as cancelled, even when its limit passes meanwhile") {
    run_task([]() -> task<void> {
        scope tasks;
        const child<std::string> parent = tasks.spawn([]() -> task<std::string> {
            try {
                const auto body = []() -> task<void> {
                    try {
                        co_await wait_for_ever();
                    } catch (const task_canceled&) {
                    }
                    const shield undisturbed;
                    co_await sleep(1h);  // past the limit
                    throw task_canceled(StopReason::canceled);
                };
                const auto value = co_await with_timeout(1min, body());
                co_return value ? "value" : "timed out";
            } catch (const task_canceled& canceled) {
                co_return canceled.reason() == StopReason::canceled ? "cancelled" : "out of time";
            }
        }());
        co_await sleep(0s);
        parent.kill();
        co_await tasks.join();
        const std::string ended_as = co_await parent.get();
        CHECK(ended_as == "cancelled");
    }());
}

TEST_CASE("a deadline stops all of its scope, can be put off, taken away, and does not outlive itself") {
    run_task([]() -> task<void> {
        scope tasks;
        deadline limit(tasks, 1h);
        const child<int> first = tasks.spawn(give_after(2h, 1));
        const child<int> second = tasks.spawn(give_after(3h, 1));
        limit.reset(no_limit);
        limit.reset(150min);
        co_await tasks.join();
        CHECK(limit.expired());
        CHECK(first.successful());
        CHECK(second.canceled());
        const child<int> too_late = tasks.spawn(give_after(0s, 1));
        co_await tasks.join();
        CHECK(too_late.canceled());

        scope others;
        {
            const deadline short_lived(others, 1ms);
        }
        const child<int> undisturbed = others.spawn(give_after(1h, 1));
        co_await others.join();
        CHECK(undisturbed.successful());
    }());
}

TEST_CASE("a stop token stops a scope from another thread") {
    run_task_in_real_time([]() -> task<void> {
        std::stop_source source;
        scope tasks;
        const child<void> work = tasks.spawn(wait_for_ever());
        const stop_when linked(tasks, source.get_token());
        const std::jthread other([&source] { source.request_stop(); });
        co_await tasks.join();
        CHECK(work.canceled());
    }());
}

TEST_CASE("a stop token that is triggered already stops a scope, and one that comes too late does nothing") {
    std::stop_source late;
    run_task_in_real_time([](std::stop_source& source) -> task<void> {
        std::stop_source triggered;
        triggered.request_stop();
        scope tasks;
        const stop_when linked(tasks, triggered.get_token());
        const child<void> work = tasks.spawn(wait_for_ever());
        co_await tasks.join();
        CHECK(work.canceled());

        scope others;
        {
            const stop_when short_lived(others, source.get_token());
            source.request_stop();
        }
        const child<int> undisturbed = others.spawn(give_after(1ms, 1));
        co_await others.join();
        CHECK(undisturbed.successful());
    }(late));
}
