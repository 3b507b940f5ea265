// What gevent's tests promise of greenlets, and ours of tasks: the parity list's items 109 to 115.
#include <doctest/doctest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "coro/channel.hpp"
#include "coro/event.hpp"
#include "coro/join_all.hpp"
#include "coro/sleep.hpp"
#include "coro/task_group.hpp"
#include "coro/timeout.hpp"
#include "tests/support/run_task.hpp"

using namespace confab;
using namespace std::chrono_literals;

namespace {

task<void> note_twice(std::string& log, char name) {
    log += std::string("1") + name + ' ';
    co_await sleep(0s);
    log += std::string("2") + name + ' ';
}

task<int> give_after(Duration delay, int value) {
    co_await sleep(delay);
    co_return value;
}

task<int> throw_after(Duration delay, std::string what) {
    co_await sleep(delay);
    throw std::runtime_error(what);
}

task<void> yield_for_ever() {
    while (true) co_await sleep(-1s);
}

// Gives the number of waits that the kill ended.
task<int> swallow_the_kill(int times) {
    event never_set;
    int thrown = 0;
    for (int i = 0; i < times; ++i) {
        try {
            co_await never_set.wait();
        } catch (const task_canceled&) {
            ++thrown;
        }
    }
    co_return thrown;
}

}  // namespace

TEST_CASE(
    "parity 109: spawning does not run the body before the spawner yields, and tasks that yield take turns") {
    std::string log;
    run_task([](std::string& trace) -> task<void> {
        scope tasks;
        tasks.spawn(note_twice(trace, 'A'));
        tasks.spawn(note_twice(trace, 'B'));
        CHECK(trace.empty());
        co_await tasks.join();
    }(log));
    CHECK(log == "1A 1B 2A 2B ");
}

TEST_CASE("parity 109: a task that only yields, in a loop, lets a time limit fire") {
    const auto result = run_task_in_real_time(with_timeout(1ms, yield_for_ever()));
    REQUIRE_FALSE(result);
    CHECK(result.error() == std::errc::timed_out);
}

TEST_CASE("parity 110: ready, successful, value and exception before, while and after a task runs") {
    run_task([]() -> task<void> {
        scope tasks(OnFailure::ignore);
        const child<int> good = tasks.spawn(give_after(1ms, 42));
        const child<int> bad = tasks.spawn(throw_after(1ms, "bad"));
        for (int i = 0; i < 2; ++i) {  // before, and while it runs
            CHECK_FALSE(good.ready());
            CHECK_FALSE(good.successful());
            CHECK_FALSE(bad.failed());
            CHECK(bad.exception() == nullptr);
            co_await sleep(0s);
        }
        const bool in_time = co_await good.join_for(0s);
        CHECK_FALSE(in_time);
        co_await good.join();
        co_await bad.join();  // never throws
        CHECK(good.successful());
        CHECK(good.exception() == nullptr);
        CHECK(bad.ready());
        CHECK_FALSE(bad.successful());
        CHECK(bad.exception() != nullptr);
        const int value = co_await good.get();
        CHECK(value == 42);
        int thrown = 0;
        for (int i = 0; i < 2; ++i) {
            try {
                co_await bad.get();
            } catch (const std::runtime_error&) {
                ++thrown;
            }
        }
        CHECK(thrown == 2);
        co_await tasks.join();
    }());
}

TEST_CASE(
    "parity 111: links run in the order added, all even if one throws, and not after they were taken back") {
    std::string log;
    run_task([](std::string& trace) -> task<void> {
        channel<int> results(channel<int>::unbounded);
        scope tasks;
        const child<int> work = tasks.spawn(give_after(1ms, 1));
        std::size_t third = 0;
        work.link([&](ChildBase&) { trace += "1 "; });
        work.link([&](ChildBase&) {
            work.unlink(third);  // in mid-notification
            throw std::runtime_error("and all others run (this line on stderr is meant to be)");
        });
        third = work.link([&](ChildBase&) { trace += "3 "; });
        const std::size_t fourth = work.link([&](ChildBase&) { trace += "4 "; });
        work.link([&](ChildBase& over) {
            trace += over.state() == ScopedTask::State::returned ? "5 " : "? ";
            const auto put = results.try_put(work.take());
            CHECK(put);
        });
        work.unlink(fourth);
        work.unlink(fourth);
        co_await tasks.join();
        CHECK(trace == "1 5 ");
        CHECK(*results.try_get() == 1);

        work.link([&](ChildBase&) { trace += "late "; });
        const std::size_t taken_back = work.link([&](ChildBase&) { trace += "never "; });
        CHECK(trace == "1 5 ");
        work.unlink(taken_back);
        co_await sleep(0s);
    }(log));
    CHECK(log == "1 5 late ");
}

TEST_CASE("parity 112: joining all takes duplicates, a count and raise_error; results come as they end") {
    run_task([]() -> task<void> {
        scope tasks(OnFailure::ignore);
        const std::vector all{tasks.spawn(give_after(3ms, 3)), tasks.spawn(throw_after(2ms, "second")),
                              tasks.spawn(throw_after(1ms, "first"))};
        const std::size_t one = co_await join_all(std::vector{all[0], all[2], all[2]}, {.count = 1});
        CHECK(one == 1);
        std::string raised;
        try {
            co_await join_all(all, {.raise_error = true});
        } catch (const std::runtime_error& error) {
            raised = error.what();
        }
        CHECK(raised == "first");
        const std::size_t ignored = co_await join_all(all);
        CHECK(ignored == 3);
        auto as_they_ended = as_completed(all);
        CHECK(as_they_ended.ready() == 3);
        co_await tasks.join();
    }());
}

TEST_CASE("parity 112: better: in a scope the first error stops the siblings") {
    run_task([]() -> task<void> {
        scope tasks;
        const child<int> sibling = tasks.spawn(give_after(1h, 1));
        tasks.spawn(throw_after(1ms, "error"));
        bool thrown = false;
        try {
            co_await tasks.join();
        } catch (const std::runtime_error&) {
            thrown = true;
        }
        CHECK(thrown);
        CHECK(sibling.canceled());
    }());
}

TEST_CASE("parity 113: killed before its start a body never runs, but links do; killed asleep it cleans up") {
    std::string log;
    run_task([](std::string& trace) -> task<void> {
        scope tasks(OnFailure::ignore);
        const child<void> dormant = tasks.spawn([](std::string& text) -> task<void> {
            text += "never ";
            co_return;
        }(trace));
        dormant.link([&](ChildBase&) { trace += "link "; });
        dormant.kill();
        co_await dormant.join();
        CHECK(dormant.successful());
        CHECK(dormant.canceled());

        const child<void> asleep = tasks.spawn([](std::string& text) -> task<void> {
            const auto clean_up = [&text](const int*) { text += "clean "; };
            const int nothing = 0;
            const std::unique_ptr<const int, decltype(clean_up)> cleaner(&nothing, clean_up);
            co_await sleep(1h);
            text += "never ";
        }(trace));
        co_await sleep(0s);
        for (int i = 0; i < 2; ++i) asleep.kill();
        co_await asleep.join();
        asleep.kill();
        CHECK(asleep.successful());

        const child<int> with_reason = tasks.spawn(give_after(1h, 1));
        const child<int> before_start = tasks.spawn(give_after(1h, 1));
        before_start.kill(std::make_exception_ptr(std::out_of_range("before")));
        co_await before_start.join();
        with_reason.kill(std::make_exception_ptr(std::out_of_range("reason")));
        with_reason.kill();
        co_await tasks.join();
        CHECK(with_reason.failed());
        CHECK_THROWS_AS(std::rethrow_exception(with_reason.exception()), std::out_of_range);
        CHECK(before_start.failed());
        CHECK_THROWS_AS(std::rethrow_exception(before_start.exception()), std::out_of_range);
    }(log));
    CHECK(log == "link clean ");
}

TEST_CASE("parity 114: killing gives up on a task that will not die, and its group still counts it") {
    run_task([]() -> task<void> {
        event released;
        task_group group(2);
        const child<void> immortal = co_await group.spawn([](event& release) -> task<void> {
            const shield undisturbed;
            co_await release.wait();
        }(released));
        co_await sleep(0s);
        const bool dead = co_await kill_all(std::vector{immortal}, 1ms);
        CHECK_FALSE(dead);
        CHECK(group.size() == 1);
        released.set();
        co_await group.join();
    }());
}

TEST_CASE("parity 114: better: one kill, and every later wait throws again") {
    run_task([]() -> task<void> {
        scope tasks;
        const child<int> stubborn = tasks.spawn(swallow_the_kill(5));
        co_await sleep(0s);
        stubborn.kill();
        const int thrown = co_await stubborn.get();
        CHECK(thrown == 5);
        co_await tasks.join();
    }());
}

TEST_CASE(
    "parity 115: a time limit fires at a wait, never when it is none, not after its end, the outer through "
    "the "
    "inner") {
    run_task([]() -> task<void> {
        const auto fired = co_await with_timeout(1ms, give_after(1h, 1));
        CHECK(fired.error() == std::errc::timed_out);
        CHECK(fired.value_or(7) == 7);  // a value in its stead
        const auto unlimited = co_await with_timeout(no_limit, give_after(1h, 2));
        CHECK(unlimited == 2);
        const auto outer = co_await with_timeout(1ms, with_timeout(1h, give_after(2h, 3)));
        CHECK(outer.error() == std::errc::timed_out);
        const auto inner = co_await with_timeout(1h, with_timeout(1ms, give_after(2h, 3)));
        CHECK(inner.error() == std::errc::timed_out);
        const auto in_time = co_await with_timeout(1ms, give_after(0s, 4));
        CHECK(in_time == 4);
        co_await sleep(1h);  // and the limit does not fire any more
    }());
}

TEST_CASE("parity 115: a body that computes on without waiting is not interrupted by its limit") {
    const auto result = run_task_in_real_time(with_timeout(1ns, []() -> task<int> {
        const Instant end = Clock::now() + 5ms;
        while (Clock::now() < end) continue;
        co_return 1;
    }()));
    CHECK(result == 1);
}
