// What only channels between threads have: parity 48, 50, 60 and 61. The rest is in channel_test.cpp.
#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <thread>
#include <type_traits>
#include <vector>

#include "pools/threads/channel.hpp"

using namespace confab;
using namespace std::chrono_literals;
using threads::channel;
using threads::lifo_channel;
using threads::priority_channel;

TEST_CASE("parity 48: without a bound a channel is never full, and a bound of nothing is refused") {
    channel<int> numbers(channel<int>::unbounded);
    for (int i = 0; i < 10'000; ++i) CHECK(numbers.try_put(i));
    CHECK_FALSE(numbers.full());
    CHECK_THROWS_AS(channel<int>(0), std::logic_error);
}

// Parity 50, shrinking a channel below what is in it, cannot be written: a capacity is given once.
static_assert(std::is_same_v<decltype(&channel<int>::capacity), std::size_t (channel<int>::*)() const>);

TEST_CASE("a value that asks for its channel as it is dropped gets an answer") {
    struct Curious {
        explicit Curious(channel<std::unique_ptr<Curious>>& home) : home_channel(home) {}
        ~Curious() { CHECK(home_channel.closed()); }
        channel<std::unique_ptr<Curious>>& home_channel;
    };
    channel<std::unique_ptr<Curious>> values(1);
    CHECK(values.put(std::make_unique<Curious>(values)));
    values.close_now();
}

TEST_CASE("parity 60: to get a value is not to have done its work") {
    channel<int> numbers(3);
    CHECK(numbers.put(1));
    CHECK(numbers.get() == 1);
    CHECK_FALSE(numbers.join_for(0s));
    CHECK_FALSE(numbers.join_for(1ms));
    CHECK_FALSE(numbers.join_until(Clock::now() - 1s));
    numbers.task_done();
    CHECK(numbers.join_for(0s));
}

TEST_CASE("parity 61: task_done once too often is an error and changes nothing") {
    channel<int> numbers(3);
    CHECK_THROWS_AS(numbers.task_done(), std::logic_error);
    CHECK(numbers.put(1));
    CHECK(numbers.get() == 1);
    numbers.task_done();
    CHECK_THROWS_AS(numbers.task_done(), std::logic_error);
    CHECK(numbers.join_for(0s));
    CHECK(numbers.put(2));
    CHECK_FALSE(numbers.join_for(0s));
}

TEST_CASE("values that can only be moved go through every kind of channel") {
    const auto by_value = [](const std::unique_ptr<int>& one, const std::unique_ptr<int>& other) {
        return *one < *other;
    };
    channel<std::unique_ptr<int>> fifo(2);
    lifo_channel<std::unique_ptr<int>> lifo(2);
    priority_channel<std::unique_ptr<int>, decltype(by_value)> sorted(
        2, Heap<std::unique_ptr<int>, decltype(by_value)>(by_value));
    for (int i = 0; i < 2; ++i) {
        CHECK(fifo.put(std::make_unique<int>(i)));
        CHECK(lifo.put(std::make_unique<int>(i)));
        CHECK(sorted.put(std::make_unique<int>(1 - i)));
    }
    CHECK(**fifo.get() == 0);
    CHECK(**lifo.get() == 1);
    CHECK(**sorted.get() == 0);
    auto taken = fifo.take();
    const auto moved = std::move(*taken);
    CHECK_FALSE(fifo.join_for(0s));
}

TEST_CASE("waits with and without a time limit, mixed and at their limits, lose no value") {
    channel<int> numbers(3);
    std::atomic<int> got = 0;
    constexpr int each = 3000;
    {
        std::vector<std::jthread> getters;
        for (int i = 0; i < 3; ++i) {
            getters.emplace_back([&, i] {
                while (true) {
                    const auto value = i == 0 ? numbers.get() : numbers.get_for(i * 20us);
                    if (value) ++got;
                    if (!value && value.error() == channel_error::closed) return;
                }
            });
        }
        std::vector<std::jthread> putters;
        for (int i = 0; i < 3; ++i) {
            putters.emplace_back([&, i] {
                for (int n = 0; n < each;) {
                    if (i == 0 ? numbers.put(n) : numbers.put_for(i * 20us, n)) ++n;
                }
            });
        }
        putters.clear();
        numbers.close();
    }
    CHECK(got == 3 * each);
}
