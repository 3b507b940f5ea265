#include "coro/condition.hpp"

#include <doctest/doctest.h>

#include <string>

#include "coro/sleep.hpp"
#include "tests/support/run_task.hpp"

using namespace confab;
using namespace std::chrono_literals;

namespace {

struct Shared {
    mutex guarded;
    condition changed;
    int value = 0;
    std::string log;
};

task<void> wait_and_note(Shared& shared, char name) {
    mutex::guard held = co_await shared.guarded.lock();
    const bool notified = co_await shared.changed.wait(held);
    CHECK(notified);
    CHECK(held);
    shared.log += name;
    co_await sleep(0s);
    shared.log += name;
}

task<void> wait_for_value(Shared& shared, int least) {
    mutex::guard held = co_await shared.guarded.lock();
    co_await shared.changed.wait(held, [&shared, least] { return shared.value >= least; });
    shared.log += std::to_string(least);
}

task<bool> wait_for_value(Shared& shared, int least, Duration limit) {
    mutex::guard held = co_await shared.guarded.lock();
    co_return co_await shared.changed.wait_for(held, limit,
                                               [&shared, least] { return shared.value >= least; });
}

task<void> raise(Shared& shared, int value) {
    const mutex::guard held = co_await shared.guarded.lock();
    shared.value = value;
    shared.changed.notify_all();
}

}  // namespace

TEST_CASE("a notification wakes one waiter, two wake two, and what is woken holds the mutex") {
    Shared shared;
    run_task([](Shared& state) -> task<void> {
        scope tasks;
        for (const char name : {'a', 'b', 'c', 'd', 'e'}) tasks.spawn(wait_and_note(state, name));
        co_await sleep(0s);
        state.changed.notify_one();
        for (int i = 0; i < 8; ++i) co_await sleep(0s);
        CHECK(state.log == "aa");
        state.changed.notify(2);
        for (int i = 0; i < 8; ++i) co_await sleep(0s);
        CHECK(state.log == "aabbcc");
        state.changed.notify_all();
        co_await tasks.join();
    }(shared));
    CHECK(shared.log == "aabbccddee");
}

TEST_CASE("a notification for nobody is not remembered") {
    Shared shared;
    run_task([](Shared& state) -> task<void> {
        state.changed.notify_one();
        state.changed.notify_all();
        mutex::guard held = co_await state.guarded.lock();
        const bool notified = co_await state.changed.wait_for(held, 1ms);
        CHECK_FALSE(notified);
        CHECK(held);
        CHECK(state.guarded.is_locked());
    }(shared));
}

TEST_CASE("a wait for a predicate ends when it holds, and only then") {
    Shared shared;
    run_task([](Shared& state) -> task<void> {
        scope tasks;
        for (const int least : {3, 0, 2, 1}) tasks.spawn(wait_for_value(state, least));
        for (int value = 1; value <= 3; ++value) {
            co_await sleep(0s);
            co_await raise(state, value);
        }
        co_await tasks.join();
    }(shared));
    CHECK(shared.log == "0123");
}

TEST_CASE("a wait for a predicate with a limit gives the predicate's last value") {
    Shared shared;
    run_task([](Shared& state) -> task<void> {
        scope tasks;
        const bool late = co_await wait_for_value(state, 1, 1ms);
        CHECK_FALSE(late);
        const bool polled = co_await wait_for_value(state, 1, -1s);
        CHECK_FALSE(polled);
        const child<bool> patient = tasks.spawn(wait_for_value(state, 2, 1h));
        const child<bool> endless = tasks.spawn(wait_for_value(state, 2, no_limit));
        co_await sleep(0s);
        co_await raise(state, 1);
        co_await raise(state, 2);
        co_await tasks.join();
        const bool got = co_await patient.get();
        CHECK(got);
        const bool got_without_limit = co_await endless.get();
        CHECK(got_without_limit);
        const bool there_already = co_await wait_for_value(state, 2, 0s);
        CHECK(there_already);
    }(shared));
}

TEST_CASE("a wait on a condition that is cancelled ends with the mutex held, however long that takes") {
    Shared shared;
    run_task([](Shared& state) -> task<void> {
        scope tasks;
        const child<void> killed = tasks.spawn([](Shared& inner) -> task<void> {
            mutex::guard held = co_await inner.guarded.lock();
            try {
                co_await inner.changed.wait(held);
            } catch (const task_canceled&) {
                CHECK(held);
                CHECK(inner.guarded.is_locked());
                inner.log += "canceled";
            }
        }(state));
        co_await sleep(0s);
        mutex::guard mine = co_await state.guarded.lock();
        killed.kill();
        killed.kill();
        for (int i = 0; i < 4; ++i) co_await sleep(0s);
        CHECK(state.log.empty());
        mine.unlock();
        co_await tasks.join();
        CHECK_FALSE(state.guarded.is_locked());
    }(shared));
    CHECK(shared.log == "canceled");
}

TEST_CASE("a limit that passes while a waiter takes the mutex again does not undo the notification") {
    Shared shared;
    run_task([](Shared& state) -> task<void> {
        scope tasks;
        const child<bool> waiter = tasks.spawn([](Shared& inner) -> task<bool> {
            mutex::guard held = co_await inner.guarded.lock();
            co_return co_await inner.changed.wait_for(held, 1ms);
        }(state));
        co_await sleep(0s);
        mutex::guard mine = co_await state.guarded.lock();
        state.changed.notify_one();
        co_await sleep(5ms);
        mine.unlock();
        const bool notified = co_await waiter.get();
        CHECK(notified);
        co_await tasks.join();
    }(shared));
}
