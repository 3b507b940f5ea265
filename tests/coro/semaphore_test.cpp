#include "coro/semaphore.hpp"

#include <doctest/doctest.h>

#include <string>

#include "coro/sleep.hpp"
#include "tests/support/run_task.hpp"

using namespace confab;
using namespace std::chrono_literals;

namespace {

task<void> acquire_and_note(semaphore& permits, std::string& log, char name) {
    co_await permits.acquire();
    log += name;
}

task<bool> acquire_for(semaphore& permits, Duration limit) { co_return co_await permits.acquire_for(limit); }

}  // namespace

TEST_CASE("a semaphore of n lets n pass and then no more until permits are given back") {
    std::string log;
    run_task([](std::string& trace) -> task<void> {
        semaphore permits(2);
        scope tasks;
        for (const char name : {'a', 'b', 'c', 'd', 'e'}) tasks.spawn(acquire_and_note(permits, trace, name));
        co_await sleep(0s);
        CHECK(trace == "ab");
        permits.release(2);
        CHECK_FALSE(permits.try_acquire());
        co_await sleep(0s);
        CHECK(trace == "abcd");
        permits.release(3);
        co_await tasks.join();
        CHECK(permits.available() == 2);
    }(log));
    CHECK(log == "abcde");
}

TEST_CASE("a semaphore refuses to begin with less than nothing or over its bound") {
    CHECK_THROWS_AS(semaphore(-1), std::invalid_argument);
    CHECK_THROWS_AS(semaphore(3, 2), std::invalid_argument);
    CHECK(semaphore(0).available() == 0);
}

TEST_CASE("giving back no permit has no effect, and without a bound there may be more than at first") {
    semaphore permits(1);
    permits.release(0);
    CHECK(permits.available() == 1);
    permits.release();
    CHECK(permits.available() == 2);
}

TEST_CASE("giving back more permits than the bound is an error and changes nothing") {
    semaphore permits(1, 2);
    permits.release();
    CHECK_THROWS_AS(permits.release(), std::logic_error);
    CHECK_THROWS_AS(permits.release(-1), std::logic_error);
    CHECK(permits.available() == 2);
}

TEST_CASE("a wait for a permit with a limit gives whether it was had in time") {
    run_task([]() -> task<void> {
        semaphore permits(1);
        scope tasks;
        const bool polled = co_await permits.acquire_for(-1s);
        CHECK(polled);
        const bool polled_again = co_await permits.acquire_for(0s);
        CHECK_FALSE(polled_again);
        const bool late = co_await permits.acquire_for(1ms);
        CHECK_FALSE(late);
        const child<bool> patient = tasks.spawn(acquire_for(permits, 1h));
        co_await sleep(0s);
        permits.release();
        const bool got = co_await patient.get();
        CHECK(got);
        CHECK(permits.available() == 0);
        co_await tasks.join();
    }());
}

TEST_CASE("a permit is not lost when a waiter is asked to stop before it or after it was given") {
    std::string log;
    run_task([](std::string& trace) -> task<void> {
        semaphore permits(0);
        scope tasks;
        const child<void> gone = tasks.spawn(acquire_and_note(permits, trace, 'g'));
        const child<void> granted = tasks.spawn(acquire_and_note(permits, trace, 'k'));
        co_await sleep(0s);
        gone.kill();
        permits.release();
        granted.kill();
        co_await tasks.join();
        CHECK(gone.canceled());
        CHECK(granted.successful());
    }(log));
    CHECK(log == "k");
}
