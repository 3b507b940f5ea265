// Channels between threads: parity 47 to 56 and 60 to 62.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <latch>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include "pools/threads/channel.hpp"

using namespace confab;
using namespace std::chrono_literals;
using threads::channel;
using threads::lifo_channel;
using threads::priority_channel;

namespace {

template <class Channel>
std::vector<int> drain(Channel& numbers) {
    std::vector<int> values;
    while (auto value = numbers.try_get()) values.push_back(*value);
    return values;
}

template <class Channel>
std::vector<int> through(const std::vector<int>& values) {
    Channel numbers(values.size());
    for (const int value : values) CHECK(numbers.put(value));
    return drain(numbers);
}

// Compares by priority only, so that the label shows who came first.
struct Job {
    int priority = 0;
    std::string label;
};
struct ByPriority {
    bool operator()(const Job& one, const Job& other) const { return one.priority < other.priority; }
};

// Throws when it is told to.
struct Fickle {
    bool operator()(int one, int other) const {
        if (*throws) throw std::runtime_error("these cannot be compared");
        return one < other;
    }
    std::shared_ptr<bool> throws = std::make_shared<bool>(false);
};

// Waits until a thread sleeps in, or at least watches, a wait that only this test can end.
template <class Condition>
void until(Condition condition) {
    while (!condition()) std::this_thread::yield();
}

}  // namespace

TEST_CASE("parity 47: first in first out, last in first out, and sorted, as one asks for") {
    CHECK(through<channel<int>>({111, 333, 222}) == std::vector{111, 333, 222});
    CHECK(through<lifo_channel<int>>({111, 333, 222}) == std::vector{222, 333, 111});
    CHECK(through<priority_channel<int>>({111, 333, 222}) == std::vector{111, 222, 333});
    CHECK(through<priority_channel<int, std::greater<>>>({111, 333, 222}) == std::vector{333, 222, 111});
}

TEST_CASE("parity 47: of equal priorities the one that was put first is got first") {
    priority_channel<Job, ByPriority> jobs(100);
    for (int i = 0; i < 60; ++i) CHECK(jobs.put({i % 3, std::to_string(i)}));
    int last_priority = 0;
    int last_number = -1;
    while (const auto job = jobs.try_get()) {
        CHECK(job->priority >= last_priority);
        if (job->priority > last_priority) last_number = -1;
        const int number = std::stoi(job->label);
        CHECK(number > last_number);
        last_priority = job->priority;
        last_number = number;
    }
}

TEST_CASE("a priority channel sorts whatever comes between puts and gets") {
    priority_channel<unsigned> numbers(1000);
    std::vector<unsigned> model;
    unsigned random = 1;
    for (int i = 0; i < 5000; ++i) {
        random = random * 1103515245U + 12345U;
        if (model.empty() || (random >> 16U) % 3 != 0) {
            if (model.size() == 1000) continue;
            CHECK(numbers.try_put(random >> 20U));
            model.push_back(random >> 20U);
        } else {
            const auto least = std::ranges::min_element(model);
            CHECK(numbers.try_get() == *least);
            model.erase(least);
        }
    }
    CHECK(numbers.size() == model.size());
}

TEST_CASE("parity 48: a channel of n takes n values, then says full; one without values says empty") {
    channel<int> numbers(2);
    CHECK(numbers.empty());
    CHECK(numbers.try_get().error() == channel_error::empty);
    CHECK(numbers.get_for(0s).error() == channel_error::empty);
    CHECK(numbers.get_for(-1s).error() == channel_error::empty);
    CHECK(numbers.get_for(1ms).error() == channel_error::empty);
    CHECK(numbers.try_put(1));
    CHECK_FALSE(numbers.full());
    CHECK(numbers.put_for(-1s, 2));
    CHECK(numbers.full());
    CHECK(numbers.size() == 2);
    CHECK(numbers.try_put(3).error() == channel_error::full);
    CHECK(numbers.put_for(0s, 3).error() == channel_error::full);
    CHECK(numbers.put_for(1ms, 3).error() == channel_error::full);
    CHECK(numbers.put_until(Clock::now() + 1ms, 3).error() == channel_error::full);
    CHECK(drain(numbers) == std::vector{1, 2});
}

TEST_CASE("parity 48: without a bound a channel is never full, and a bound of nothing is refused") {
    channel<int> numbers(channel<int>::unbounded);
    for (int i = 0; i < 10'000; ++i) CHECK(numbers.try_put(i));
    CHECK_FALSE(numbers.full());
    CHECK_THROWS_AS(channel<int>(0), std::logic_error);
}

TEST_CASE_TEMPLATE("parity 49: a put that waits goes on with a get, and a get with a put", Channel,
                   channel<int>, lifo_channel<int>, priority_channel<int>) {
    for (const Duration limit : {Duration(10s), Duration::max()}) {
        Channel there(1);
        Channel back(1);
        std::jthread echo([&] {
            while (const auto value = there.get_for(limit)) CHECK(back.put_for(limit, *value));
        });
        for (int i = 0; i < 1000; ++i) {
            CHECK(there.put_for(limit, i));
            CHECK(back.get_for(limit) == i);
        }
        // Three values for two places and a hand: each put but the first waits for the other side.
        for (int i = 0; i < 3; ++i) CHECK(there.put(i));
        for (int i = 0; i < 3; ++i) CHECK(back.get() == i);
        there.close();
    }
}

// Parity 50, shrinking a channel below what is in it, cannot be written: a capacity is given once.
static_assert(std::is_same_v<decltype(&channel<int>::capacity), std::size_t (channel<int>::*)() const>);

TEST_CASE("parity 51: what throws on its way in or out leaves the channel as it was") {
    const Fickle compare;
    priority_channel<int, Fickle> numbers(10, Heap<int, Fickle>(compare));
    for (const int value : {5, 3, 8, 1, 9, 2}) CHECK(numbers.put(value));
    *compare.throws = true;
    CHECK_THROWS_AS(static_cast<void>(numbers.put(0)), std::runtime_error);
    CHECK_THROWS_AS(static_cast<void>(numbers.get()), std::runtime_error);
    CHECK_THROWS_AS(static_cast<void>(numbers.try_put(0)), std::runtime_error);
    CHECK(numbers.size() == 6);
    *compare.throws = false;
    // Neither is the lock held, nor a wake-up lost: another thread uses both sides.
    std::jthread([&] { CHECK(numbers.put(4)); }).join();
    CHECK(drain(numbers) == std::vector{1, 2, 3, 4, 5, 8, 9});
}

TEST_CASE("parity 51: a put that throws does not count as work to be done") {
    const Fickle compare;
    priority_channel<int, Fickle> numbers(10, Heap<int, Fickle>(compare));
    CHECK(numbers.put(1));
    *compare.throws = true;
    CHECK_THROWS_AS(static_cast<void>(numbers.put(0)), std::runtime_error);
    *compare.throws = false;
    CHECK(numbers.get() == 1);
    numbers.task_done();
    CHECK(numbers.join_for(0s));
}

TEST_CASE("parity 52: a value that cannot be compared with those that are there does not stay in") {
    const Fickle compare;
    priority_channel<int, Fickle> numbers(10, Heap<int, Fickle>(compare));
    CHECK(numbers.put(1));
    *compare.throws = true;
    CHECK_THROWS_AS(static_cast<void>(numbers.put(1)), std::runtime_error);
    *compare.throws = false;
    CHECK(numbers.size() == 1);
    CHECK(drain(numbers) == std::vector{1});
}

// Values without an order do not go into a priority channel, unless an order comes with them.
template <class T>
concept HasPriorityChannel = requires { typename priority_channel<T>; };
static_assert(HasPriorityChannel<int>);
static_assert(!HasPriorityChannel<Job>);
static_assert(std::is_constructible_v<priority_channel<Job, ByPriority>, std::size_t>);

TEST_CASE_TEMPLATE("parity 53: closed, it takes no more, gives what is there, and wakes those who wait",
                   Channel, channel<int>, lifo_channel<int>, priority_channel<int>) {
    Channel numbers(2);
    CHECK(numbers.put(1));
    CHECK(numbers.put(2));
    std::atomic<int> refused = 0;
    {
        std::latch started(3);
        std::vector<std::jthread> putters;
        for (int i = 0; i < 3; ++i) {
            putters.emplace_back([&] {
                started.count_down();
                if (numbers.put(9).error() == channel_error::closed) ++refused;
            });
        }
        started.wait();
        numbers.close();
        numbers.close();
    }
    CHECK(refused == 3);
    CHECK(numbers.closed());
    CHECK(numbers.put(3).error() == channel_error::closed);
    CHECK(numbers.try_put(3).error() == channel_error::closed);
    CHECK(numbers.size() == 2);
    CHECK(drain(numbers).size() == 2);
    CHECK(numbers.get().error() == channel_error::closed);
    CHECK(numbers.try_get().error() == channel_error::closed);
    CHECK(numbers.get_for(1s).error() == channel_error::closed);

    Channel bare(1);
    std::vector<std::jthread> getters;
    std::latch started(3);
    for (int i = 0; i < 3; ++i) {
        getters.emplace_back([&] {
            started.count_down();
            CHECK(bare.get().error() == channel_error::closed);
        });
    }
    started.wait();
    bare.close();
}

TEST_CASE("parity 54: closed at once, it drops what is there, and nobody waits for its work") {
    channel<std::shared_ptr<int>> values(10);
    const auto value = std::make_shared<int>(1);
    for (int i = 0; i < 3; ++i) CHECK(values.put(value));
    std::jthread joiner([&] { values.join(); });
    values.close();
    values.close_now();
    joiner.join();
    CHECK(value.use_count() == 1);
    CHECK(values.get().error() == channel_error::closed);
    CHECK(values.put(value).error() == channel_error::closed);
    CHECK_THROWS_AS(values.task_done(), std::logic_error);
    values.close_now();
    values.close();
    CHECK(values.get().error() == channel_error::closed);
}

TEST_CASE("parity 54: what had been taken when it was closed at once is still waited for") {
    channel<int> numbers(10);
    CHECK(numbers.put(1));
    CHECK(numbers.put(2));
    {
        auto taken = numbers.take();
        CHECK(**taken == 1);
        numbers.close_now();
        CHECK_FALSE(numbers.join_for(0s));
    }
    CHECK(numbers.join_for(0s));
}

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

TEST_CASE_TEMPLATE("parity 55: writers, readers and joiners all end when it is closed midway", Channel,
                   channel<int>, lifo_channel<int>, priority_channel<int>) {
    for (const bool at_once : {false, true}) {
        Channel numbers(256);
        std::atomic<int> put = 0;
        std::atomic<int> got = 0;
        std::atomic<int> readers_told = 0;
        {
            std::vector<std::jthread> workers;
            for (int i = 0; i < 4; ++i) {
                workers.emplace_back([&] {
                    for (int value = 0; value < 65'536 / 4 && numbers.put(value); ++value) ++put;
                });
            }
            for (int i = 0; i < 6; ++i) {
                workers.emplace_back([&] {
                    while (numbers.take()) ++got;
                    ++readers_told;
                });
            }
            for (int i = 0; i < 2; ++i) workers.emplace_back([&] { numbers.join(); });
            until([&] { return got >= 65'536 / 8; });
            if (at_once) {
                numbers.close_now();
            } else {
                numbers.close();
            }
        }
        CHECK(readers_told == 6);
        CHECK(got <= put);
        if (!at_once) CHECK(got == put);
        CHECK(numbers.join_for(0s));
    }
}

TEST_CASE("parity 56: each putter's values come in the order it put them, however many put and get") {
    constexpr int putters = 4;
    constexpr int each = 10'000;
    channel<std::pair<int, int>> values(64);
    std::array<std::atomic<int>, putters> count{};
    {
        std::jthread getter([&] {
            std::array<int, putters> next{};
            while (const auto value = values.get()) {
                CHECK(value->second == next[static_cast<std::size_t>(value->first)]++);
                ++count[static_cast<std::size_t>(value->first)];
            }
        });
        std::vector<std::jthread> all;
        for (int putter = 0; putter < putters; ++putter) {
            all.emplace_back([&values, putter] {
                for (int i = 0; i < each; ++i) CHECK(values.put({putter, i}));
            });
        }
        all.clear();
        values.close();
    }
    for (const auto& got : count) CHECK(got == each);
}

TEST_CASE("parity 60: join waits until the work of every value is done") {
    channel<int> numbers(channel<int>::unbounded);
    numbers.join();
    std::atomic<int> done = 0;
    {
        std::vector<std::jthread> workers;
        for (int i = 0; i < 2; ++i) {
            workers.emplace_back([&] {
                while (const auto value = numbers.take()) ++done;
            });
        }
        for (int round = 1; round <= 3; ++round) {
            for (int i = 0; i < 1000; ++i) CHECK(numbers.put(i));
            numbers.join();
            CHECK(done == 1000 * round);
            numbers.join();
        }
        CHECK(numbers.put(0));
        numbers.join();
        numbers.close();
    }
    CHECK(done == 3001);
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

TEST_CASE("parity 62: a consumer that throws has still done its work") {
    channel<std::string> names(3);
    CHECK(names.put("bread"));
    std::jthread consumer([&] {
        try {
            const auto name = names.take();
            throw std::runtime_error("the consumer fails");
        } catch (const std::runtime_error&) {
        }
    });
    names.join();
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
