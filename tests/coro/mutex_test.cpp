#include "coro/mutex.hpp"

#include <doctest/doctest.h>

#include <stdexcept>
#include <string>

#include "coro/sleep.hpp"
#include "tests/support/run_task.hpp"

using namespace confab;
using namespace std::chrono_literals;

namespace {

task<void> note_while_locked(mutex& guarded, std::string& log, char name) {
    const mutex::guard held = co_await guarded.lock();
    log += name;
    co_await sleep(0s);
    log += name;
}

task<bool> lock_for(mutex& guarded, Duration limit) {
    const mutex::guard held = co_await guarded.lock_for(limit);
    co_return static_cast<bool>(held);
}

task<void> throw_while_locked(mutex& guarded) {
    // NOLINTNEXTLINE(clang-analyzer-deadcode.DeadStores): its destructor is the point
    const mutex::guard held = co_await guarded.lock();
    throw std::runtime_error("in the locked part");
}

}  // namespace

TEST_CASE("a mutex is held by one task at a time, in the order they came") {
    std::string log;
    run_task([](std::string& trace) -> task<void> {
        mutex guarded;
        scope tasks;
        for (const char name : {'a', 'b', 'c', 'd'}) tasks.spawn(note_while_locked(guarded, trace, name));
        co_await tasks.join();
        CHECK_FALSE(guarded.is_locked());
    }(log));
    CHECK(log == "aabbccdd");
}

TEST_CASE("a mutex that is given on cannot be snatched before the next one runs") {
    std::string log;
    run_task([](std::string& trace) -> task<void> {
        mutex guarded;
        scope tasks;
        mutex::guard mine = co_await guarded.lock();
        tasks.spawn(note_while_locked(guarded, trace, 'x'));
        co_await sleep(0s);
        mine.unlock();
        CHECK_FALSE(guarded.try_lock());
        mine = co_await guarded.lock();
        CHECK(trace == "xx");
        mine.unlock();
        co_await tasks.join();
    }(log));
}

TEST_CASE("a mutex is given back when the locked part throws") {
    run_task([]() -> task<void> {
        mutex guarded;
        scope tasks(OnFailure::ignore);
        const child<void> thrower = tasks.spawn(throw_while_locked(guarded));
        co_await tasks.join();
        CHECK(thrower.failed());
        const mutex::guard held = guarded.try_lock();
        CHECK(held);
    }());
}

TEST_CASE("trying to lock a mutex that is held gives an empty guard") {
    run_task([]() -> task<void> {
        mutex guarded;
        mutex::guard held = guarded.try_lock();
        REQUIRE(held);
        CHECK_FALSE(guarded.try_lock());
        const mutex::guard polled = co_await guarded.lock_for(0s);
        CHECK_FALSE(polled);
        const mutex::guard polled_negative = co_await guarded.lock_for(-1s);
        CHECK_FALSE(polled_negative);
        held.unlock();
        held.unlock();
        const mutex::guard again = co_await guarded.lock_for(0s);
        CHECK(again);
    }());
}

TEST_CASE("a mutex works on after a wait for it ran out of time") {
    run_task([]() -> task<void> {
        mutex guarded;
        scope tasks;
        mutex::guard held = guarded.try_lock();
        const child<bool> late = tasks.spawn(lock_for(guarded, 1ms));
        co_await late.join();
        const bool was_late = co_await late.get();
        CHECK_FALSE(was_late);
        const child<bool> patient = tasks.spawn(lock_for(guarded, 1h));
        co_await sleep(0s);
        held.unlock();
        const bool got = co_await patient.get();
        CHECK(got);
        co_await tasks.join();
        CHECK_FALSE(guarded.is_locked());
    }());
}

TEST_CASE(
    "a mutex goes past a waiter that was asked to stop, and is not lost on one that was too late to be") {
    std::string log;
    run_task([](std::string& trace) -> task<void> {
        mutex guarded;
        scope tasks;
        mutex::guard held = guarded.try_lock();
        const child<void> gone = tasks.spawn(note_while_locked(guarded, trace, 'g'));
        const child<void> granted = tasks.spawn(note_while_locked(guarded, trace, 'k'));
        tasks.spawn(note_while_locked(guarded, trace, 'n'));
        co_await sleep(0s);
        gone.kill();
        held.unlock();   // to the second
        granted.kill();  // which has it, and stops at its next wait
        co_await tasks.join();
        CHECK(gone.canceled());
        CHECK(granted.canceled());
        CHECK_FALSE(guarded.is_locked());
    }(log));
    CHECK(log == "knn");
}
