#include "coro/remote_result.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>

#include "coro/scope.hpp"
#include "coro/sleep.hpp"
#include "coro/timeout.hpp"
#include "tests/support/run_task.hpp"

using namespace confab;
using namespace std::chrono_literals;

namespace {

std::jthread give_elsewhere(remote_promise<std::unique_ptr<int>> promise, int value) {
    return std::jthread(
        [kept = std::move(promise), value]() mutable { kept.set_value(std::make_unique<int>(value)); });
}

task<int> await_value(remote_result<int>& result) { co_return co_await result.get(); }

}  // namespace

TEST_CASE("a task awaits a value of another thread") {
    run_task_in_real_time([]() -> task<void> {
        for (int i = 0; i < 200; ++i) {
            remote_result<std::unique_ptr<int>> answer;
            const std::jthread other = give_elsewhere(answer.promise(), i);
            const std::unique_ptr<int> value = co_await answer.get();
            CHECK(*value == i);
            CHECK(answer.ready());
        }
    }());
}

TEST_CASE("an exception that another thread sets is thrown from the await") {
    run_task_in_real_time([]() -> task<void> {
        remote_result<void> done;
        const std::jthread other([promise = done.promise()]() mutable {
            promise.set_exception(std::make_exception_ptr(std::out_of_range("there")));
        });
        bool thrown = false;
        try {
            co_await done.get();
        } catch (const std::out_of_range&) {
            thrown = true;
        }
        CHECK(thrown);
    }());
}

TEST_CASE("a promise that is dropped is broken, and one is kept once") {
    run_task_in_real_time([]() -> task<void> {
        remote_result<int> never_given;
        {
            const remote_promise<int> dropped = never_given.promise();
        }
        bool broken = false;
        try {
            static_cast<void>(co_await never_given.get());
        } catch (const std::future_error& error) {
            broken = error.code() == std::future_errc::broken_promise;
        }
        CHECK(broken);

        remote_result<int> given;
        remote_promise<int> promise = given.promise();
        promise.set_value(1);
        CHECK_THROWS_AS(promise.set_value(2), std::future_error);
        CHECK_THROWS_AS(promise.set_exception(nullptr), std::future_error);
        CHECK_FALSE(given.ready());
        const bool in_time = co_await given.wait_for(no_limit);
        CHECK(in_time);
        const int value = co_await given.get();
        CHECK(value == 1);
    }());
}

TEST_CASE("waiting for another thread is no deadlock, with a limit it ends, and the result may come later") {
    run_task_in_real_time([]() -> task<void> {
        remote_result<int> answer;
        std::optional<remote_promise<int>> promise(answer.promise());
        const bool polled = co_await answer.wait_for(-1s);
        CHECK_FALSE(polled);
        const bool late = co_await answer.wait_for(1ms);
        CHECK_FALSE(late);
        scope tasks;
        const child<int> killed = tasks.spawn(await_value(answer));
        co_await sleep(0s);
        killed.kill();
        co_await tasks.join();
        CHECK(killed.canceled());
        const std::jthread other([&promise] { promise->set_value(42); });
        const int value = co_await answer.get();
        CHECK(value == 42);
    }());
}

TEST_CASE("a result that nobody waits for any more is dropped, whenever it comes") {
    std::optional<remote_promise<std::string>> after_the_reactor;
    run_task_in_real_time([](std::optional<remote_promise<std::string>>& outlives) -> task<void> {
        for (int i = 0; i < 200; ++i) {
            std::jthread other;
            {
                remote_result<std::string> abandoned;
                other =
                    std::jthread([promise = abandoned.promise()]() mutable { promise.set_value("late"); });
            }
        }
        remote_result<std::string> posted_and_abandoned;
        posted_and_abandoned.promise().set_value("on its way");
        remote_result<std::string> unfinished;
        outlives = unfinished.promise();
        co_await sleep(0s);
    }(after_the_reactor));
    after_the_reactor->set_value("too late");
    CHECK_THROWS_AS(after_the_reactor->set_value("again"), std::future_error);
}
