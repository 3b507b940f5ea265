#include "coro/event.hpp"

#include <doctest/doctest.h>

#include <string>

#include "coro/sleep.hpp"
#include "tests/support/run_task.hpp"

using namespace confab;
using namespace std::chrono_literals;

namespace {

task<void> wait_and_note(event& awaited, std::string& log, char name) {
    co_await awaited.wait();
    log += name;
}

task<bool> wait_for(event& awaited, Duration limit) { co_return co_await awaited.wait_for(limit); }

task<void> say_how_it_ended(event& awaited, std::string& log) {
    try {
        co_await awaited.wait();
        log += "set ";
    } catch (const task_canceled&) {
        log += "canceled ";
    }
}

}  // namespace

TEST_CASE("an event that is set lets its waiters go in the order they came") {
    std::string log;
    run_task([](std::string& trace) -> task<void> {
        event door;
        scope tasks;
        for (const char name : {'a', 'b', 'c'}) tasks.spawn(wait_and_note(door, trace, name));
        co_await sleep(0s);
        CHECK(trace.empty());
        door.set();
        co_await tasks.join();
    }(log));
    CHECK(log == "abc");
}

TEST_CASE("an event that is set and cleared at once still wakes those that wait") {
    std::string log;
    run_task([](std::string& trace) -> task<void> {
        event door;
        scope tasks;
        for (int i = 0; i < 1000; ++i) tasks.spawn(wait_and_note(door, trace, 'x'));
        co_await sleep(0s);
        door.set();
        door.clear();
        co_await tasks.join();
        CHECK_FALSE(door.is_set());
    }(log));
    CHECK(log.size() == 1000);
}

TEST_CASE("an event that is set holds nobody up, and one that was cleared does") {
    run_task([]() -> task<void> {
        event door(true);
        co_await door.wait();
        door.clear();
        door.clear();
        const bool in_time = co_await door.wait_for(0s);
        CHECK_FALSE(in_time);
    }());
}

TEST_CASE("waiting for an event with a limit gives true when it is set in time and false when it is not") {
    run_task([]() -> task<void> {
        event never_set;
        const bool late = co_await never_set.wait_for(1ms);
        CHECK_FALSE(late);

        event door;
        scope tasks;
        const child<bool> waiter = tasks.spawn(wait_for(door, 1h));
        const child<bool> patient = tasks.spawn(wait_for(door, no_limit));
        co_await sleep(0s);
        door.set();
        co_await tasks.join();
        const bool got = co_await waiter.get();
        CHECK(got);
        const bool got_without_limit = co_await patient.get();
        CHECK(got_without_limit);
    }());
}

TEST_CASE("a limit of zero or less looks at the event once and does not wait") {
    run_task([]() -> task<void> {
        event door;
        for (const Duration limit : {Duration(0s), Duration(-1s), Duration::min()}) {
            const bool unset = co_await door.wait_for(limit);
            CHECK_FALSE(unset);
        }
        door.set();
        const bool set = co_await door.wait_for(-1s);
        CHECK(set);
    }());
}

TEST_CASE("a task that was asked to stop leaves an event, and the others still get it") {
    std::string log;
    run_task([](std::string& trace) -> task<void> {
        event door;
        scope tasks;
        const child<void> killed = tasks.spawn(say_how_it_ended(door, trace));
        tasks.spawn(say_how_it_ended(door, trace));
        co_await sleep(0s);
        killed.kill();
        co_await killed.join();
        door.set();
        co_await tasks.join();
    }(log));
    CHECK(log == "canceled set ");
}

TEST_CASE("a task that is asked to stop after its event was set has got the event") {
    std::string log;
    run_task([](std::string& trace) -> task<void> {
        event door;
        scope tasks;
        const child<void> killed = tasks.spawn(say_how_it_ended(door, trace));
        co_await sleep(0s);
        door.set();
        killed.kill();
        co_await tasks.join();
    }(log));
    CHECK(log == "set ");
}

TEST_CASE("a task that was asked to stop waits no more, not even for an event that is set") {
    std::string log;
    run_task([](std::string& trace) -> task<void> {
        event door(true);
        scope tasks;
        const child<void> stopped = tasks.spawn([](event& awaited, std::string& text) -> task<void> {
            TaskContext::current()->request_stop(StopReason::canceled);
            for (int i = 0; i < 3; ++i) co_await say_how_it_ended(awaited, text);
        }(door, trace));
        co_await tasks.join();
        CHECK(stopped.successful());
    }(log));
    CHECK(log == "canceled canceled canceled ");
}
