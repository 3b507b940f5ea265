#include "coro/channel.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

#include "coro/sleep.hpp"
#include "tests/support/run_task.hpp"

using namespace confab;
using namespace std::chrono_literals;

namespace {

using Numbers = channel<int>;

task<void> put_and_note(Numbers& numbers, int value, std::string& log) {
    const auto put = co_await numbers.put(value);
    log += put ? "put" : "refused";
    log += std::to_string(value) + ' ';
}

task<void> get_and_note(Numbers& numbers, std::string& log) {
    const auto value = co_await numbers.get();
    log += value ? "got" + std::to_string(*value) + ' ' : "closed ";
}

task<void> put_range(Numbers& numbers, int count) {
    for (int i = 0; i < count; ++i) {
        const auto put = co_await numbers.put(i);
        CHECK(put);
    }
    numbers.close();
}

task<void> collect(Numbers& numbers, std::vector<int>& values) {
    while (true) {
        const auto value = co_await numbers.get();
        if (!value) break;
        values.push_back(*value);
    }
}

}  // namespace

TEST_CASE("a channel gives values in the order they were put, whatever its capacity") {
    for (const std::size_t capacity : {std::size_t{0}, std::size_t{1}, std::size_t{7}, Numbers::unbounded}) {
        CAPTURE(capacity);
        std::vector<int> values;
        run_task([](std::size_t room, std::vector<int>& got) -> task<void> {
            Numbers numbers(room);
            scope tasks;
            tasks.spawn(put_range(numbers, 100));
            tasks.spawn(collect(numbers, got));
            co_await tasks.join();
        }(capacity, values));
        REQUIRE(values.size() == 100);
        for (int i = 0; i < 100; ++i) CHECK(values[static_cast<std::size_t>(i)] == i);
    }
}

TEST_CASE("a put into a channel of capacity n waits when n values are in it") {
    std::string log;
    run_task([](std::string& trace) -> task<void> {
        Numbers numbers(2);
        scope tasks;
        for (const int value : {1, 2, 3, 4}) tasks.spawn(put_and_note(numbers, value, trace));
        co_await sleep(0s);
        CHECK(trace == "put1 put2 ");
        CHECK(numbers.size() == 2);
        const auto first = co_await numbers.get();
        CHECK(*first == 1);
        CHECK(numbers.size() == 2);  // the third moved up at once
        co_await sleep(0s);
        CHECK(trace == "put1 put2 put3 ");
        for (const int value : {2, 3, 4}) {
            const auto next = numbers.try_get();
            CHECK(*next == value);
        }
        co_await tasks.join();
    }(log));
    CHECK(log == "put1 put2 put3 put4 ");
}

TEST_CASE("a value goes straight to the getter that has waited longest, and cannot be snatched") {
    std::string log;
    run_task([](std::string& trace) -> task<void> {
        Numbers numbers(5);
        scope tasks;
        tasks.spawn(get_and_note(numbers, trace));
        tasks.spawn(get_and_note(numbers, trace));
        co_await sleep(0s);
        CHECK(numbers.try_put(1));
        CHECK(numbers.size() == 0);
        CHECK(numbers.try_get().error() == channel_error::empty);
        CHECK(numbers.try_put(2));
        CHECK(numbers.try_put(3));
        CHECK(numbers.size() == 1);
        co_await tasks.join();
    }(log));
    CHECK(log == "got1 got2 ");
}

TEST_CASE("a channel that is closed refuses puts at once and is drained by gets") {
    run_task([]() -> task<void> {
        Numbers numbers(5);
        CHECK(numbers.try_put(1));
        CHECK(numbers.try_put(2));
        numbers.close();
        numbers.close();
        CHECK(numbers.closed());
        const auto put = co_await numbers.put(3);
        CHECK(put.error() == channel_error::closed);
        CHECK(numbers.try_put(3).error() == channel_error::closed);
        const auto first = co_await numbers.get();
        CHECK(*first == 1);
        CHECK(*numbers.try_get() == 2);
        const auto none = co_await numbers.get();
        CHECK(none.error() == channel_error::closed);
        CHECK(numbers.try_get().error() == channel_error::closed);
    }());
}

TEST_CASE("closing wakes the putters and getters that wait") {
    std::string log;
    run_task([](std::string& trace) -> task<void> {
        Numbers full(1);
        Numbers empty(1);
        scope tasks;
        CHECK(full.try_put(0));
        tasks.spawn(put_and_note(full, 1, trace));
        tasks.spawn(put_and_note(full, 2, trace));
        tasks.spawn(get_and_note(empty, trace));
        co_await sleep(0s);
        full.close();
        empty.close();
        co_await tasks.join();
        CHECK(*full.try_get() == 0);
        CHECK(full.try_get().error() == channel_error::closed);
    }(log));
    CHECK(log == "refused1 refused2 closed ");
}

TEST_CASE("puts and gets with a limit say full and empty when it has passed") {
    run_task([]() -> task<void> {
        Numbers numbers(1);
        for (const Duration limit : {Duration(1ms), Duration(0s), Duration(-1s)}) {
            const auto nothing = co_await numbers.get_for(limit);
            CHECK(nothing.error() == channel_error::empty);
        }
        const auto fits = co_await numbers.put_for(0s, 1);
        CHECK(fits);
        for (const Duration limit : {Duration(1ms), Duration(0s), Duration(-1s)}) {
            const auto full = co_await numbers.put_for(limit, 2);
            CHECK(full.error() == channel_error::full);
        }
        const auto value = co_await numbers.get_for(1h);
        CHECK(*value == 1);
        CHECK(numbers.size() == 0);
    }());
}

TEST_CASE("a put that is cancelled was not put, and a get that is cancelled takes nothing") {
    std::string log;
    run_task([](std::string& trace) -> task<void> {
        Numbers numbers(0);
        scope tasks;
        const child<void> putter = tasks.spawn(put_and_note(numbers, 1, trace));
        tasks.spawn(put_and_note(numbers, 2, trace));
        co_await sleep(0s);
        putter.kill();
        CHECK(*numbers.try_get() == 2);
        const child<void> getter = tasks.spawn(get_and_note(numbers, trace));
        tasks.spawn(get_and_note(numbers, trace));
        co_await sleep(0s);
        getter.kill();
        CHECK(numbers.try_put(3));
        co_await tasks.join();
        CHECK(putter.canceled());
        CHECK(getter.canceled());
    }(log));
    CHECK(log == "put2 got3 ");
}

TEST_CASE("a value that was handed over before the getter is asked to stop is got") {
    std::string log;
    run_task([](std::string& trace) -> task<void> {
        Numbers numbers(0);
        scope tasks;
        const child<void> getter = tasks.spawn(get_and_note(numbers, trace));
        co_await sleep(0s);
        CHECK(numbers.try_put(1));
        getter.kill();
        co_await tasks.join();
    }(log));
    CHECK(log == "got1 ");
}

TEST_CASE("a channel carries what can only be moved, and drops what is left in it") {
    const auto counted = std::make_shared<int>(0);
    run_task([](std::shared_ptr<int> owner) -> task<void> {
        channel<std::unique_ptr<std::shared_ptr<int>>> boxes(20);
        for (int i = 0; i < 20; ++i) {
            const auto put = co_await boxes.put(std::make_unique<std::shared_ptr<int>>(owner));
            CHECK(put);
        }
        for (int i = 0; i < 5; ++i) {
            const auto box = co_await boxes.get();
            CHECK(box.has_value());
        }
    }(counted));
    CHECK(counted.use_count() == 1);
}
