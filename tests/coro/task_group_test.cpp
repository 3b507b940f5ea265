#include "coro/task_group.hpp"

#include <doctest/doctest.h>

#include <string>

#include "coro/event.hpp"
#include "coro/imap.hpp"
#include "coro/sleep.hpp"
#include "tests/support/run_task.hpp"

using namespace confab;
using namespace std::chrono_literals;

namespace {

task<void> wait_for(event& door) { co_await door.wait(); }

task<int> add_one(int value) {
    co_await sleep(0s);
    co_return value + 1;
}

task<int> add_one_twice(task_group& group, int value) {
    const int once = co_await group.apply(add_one(value));
    co_return co_await group.apply(add_one(once));
}

}  // namespace

TEST_CASE("spawning in a full group waits for a place, and places are given in order") {
    std::string log;
    run_task([](std::string& trace) -> task<void> {
        event door;
        scope spawners;
        task_group group(2);
        for (const char name : {'a', 'b', 'c', 'd'}) {
            spawners.spawn([](task_group& crowd, event& held_by, std::string& text, char who) -> task<void> {
                co_await crowd.spawn(wait_for(held_by));
                text += who;
            }(group, door, trace, name));
        }
        co_await sleep(0s);
        CHECK(trace == "ab");
        CHECK(group.full());
        CHECK(group.size() == 2);
        door.set();
        co_await spawners.join();
        co_await group.join();
        CHECK(group.free_count() == 2);
    }(log));
    CHECK(log == "abcd");
}

TEST_CASE("trying to spawn in a full group gives an empty child and leaves the body as it was") {
    run_task([]() -> task<void> {
        event door;
        task_group group(1);
        const child<void> first = group.try_spawn(wait_for(door));
        REQUIRE(first);
        task<int> body = add_one(1);
        const child<int> refused = group.try_spawn(std::move(body));
        CHECK_FALSE(refused);
        const child<int> polled = co_await group.spawn_for(-1s, add_one(1));
        CHECK_FALSE(polled);
        const child<int> late = co_await group.spawn_for(1ms, add_one(1));
        CHECK_FALSE(late);
        door.set();
        // NOLINTNEXTLINE(bugprone-use-after-move): who refuses a body leaves it where it is
        const child<int> started = co_await group.spawn_for(1h, std::move(body));
        const int value = co_await started.get();
        CHECK(value == 2);
        co_await group.join();
    }());
}

TEST_CASE("joining a group with a limit gives whether it is empty, and stops nothing") {
    run_task([]() -> task<void> {
        event door;
        task_group group(3);
        const bool empty = co_await group.join_for(0s);
        CHECK(empty);
        const child<void> work = co_await group.spawn(wait_for(door));
        const bool late = co_await group.join_for(1ms);
        CHECK_FALSE(late);
        CHECK_FALSE(work.ready());
        door.set();
        const bool in_time = co_await group.join_for(1h);
        CHECK(in_time);
        CHECK(work.successful());
    }());
}

TEST_CASE("a group of size 0 is always full, and one of negative size is an error") {
    run_task([]() -> task<void> {
        task_group none(0);
        CHECK(none.full());
        CHECK_FALSE(none.try_spawn(add_one(1)));
        const child<int> late = co_await none.spawn_for(1ms, add_one(1));
        CHECK_FALSE(late);
        CHECK_THROWS_AS(task_group(-1), std::invalid_argument);
    }());
}

TEST_CASE("a spawn that is cancelled takes no place and its body never runs") {
    run_task([]() -> task<void> {
        event door;
        scope spawners;
        task_group group(1);
        co_await group.spawn(wait_for(door));
        const child<void> spawner = spawners.spawn([](task_group& crowd) -> task<void> {
            co_await crowd.spawn([]() -> task<void> {
                FAIL("never spawned");
                co_return;
            }());
        }(group));
        co_await sleep(0s);
        spawner.kill();
        co_await spawners.join();
        CHECK(spawner.canceled());
        door.set();
        co_await group.join();
        CHECK(group.free_count() == 1);
    }());
}

TEST_CASE("a nested call runs in its caller's place") {
    run_task([]() -> task<void> {
        task_group group(1);
        const int value = co_await group.apply(add_one_twice(group, 1));
        CHECK(value == 3);
        CHECK_FALSE(group.contains_current());
        co_await group.join();
    }());
}

TEST_CASE("imap gives results in the order of its inputs and runs only so far ahead of its reader") {
    run_task([]() -> task<void> {
        int begun = 0;
        task_group group(10);
        const auto work = [](int& count, int value) -> task<int> {
            ++count;
            if (value % 2 == 0) co_await sleep(1ms);
            co_return value* value;
        };
        imap squares(
            group, [&begun, work](int value) { return work(begun, value); }, std::views::iota(0, 20), 3);
        for (int i = 0; i < 20; ++i) {
            const std::optional<int> square = co_await squares.next();
            REQUIRE(square);
            CHECK(*square == i * i);
            co_await sleep(5ms);  // a slow reader
            CHECK(begun <= i + 3);
        }
        const std::optional<int> none = co_await squares.next();
        CHECK_FALSE(none);
        co_await group.join();
    }());
}

TEST_CASE("imap works in a group of 1 and in one that others fill") {
    run_task([]() -> task<void> {
        event door;
        task_group group(1);
        co_await group.spawn(wait_for(door));
        scope tasks;
        tasks.spawn([](event& opened) -> task<void> {
            co_await sleep(1ms);
            opened.set();
        }(door));
        imap plus_one(group, [](int value) { return add_one(value); }, std::views::iota(0, 3), 2);
        for (int i = 0; i < 3; ++i) {
            const std::optional<int> value = co_await plus_one.next();
            CHECK(value == i + 1);
        }
        co_await tasks.join();
        co_await group.join();
    }());
}

TEST_CASE("imap throws what a call threw and goes on after it, and stops what nobody reads") {
    run_task([]() -> task<void> {
        task_group group(4);
        {
            imap results(
                group,
                [](int value) {
                    return [](int input) -> task<int> {
                        if (input == 1) throw std::runtime_error("one");
                        if (input == 3) co_await sleep(1h);
                        co_return input;
                    }(value);
                },
                std::views::iota(0, 4), 4);
            std::string seen;
            for (int i = 0; i < 3; ++i) {
                try {
                    const std::optional<int> value = co_await results.next();
                    seen += std::to_string(*value);
                } catch (const std::runtime_error& error) {
                    seen += error.what();
                }
            }
            CHECK(seen == "0one2");
        }
        co_await group.join();
    }());
}
