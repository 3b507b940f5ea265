// What every channel promises, between threads and between processes: parity 47 to 49, 51 to 56, 60 and 62.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

#include "tests/pools/channel_kinds.hpp"

using namespace confab;
using namespace std::chrono_literals;

namespace {

template <class Channel>
std::vector<int> through(Channel numbers, const std::vector<int>& values) {
    for (const int value : values) CHECK(numbers.put(value));
    return drain(numbers);
}

// Compares by priority only, so that the number shows who came first.
struct Job {
    int priority = 0;
    int number = 0;
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

}  // namespace

TEST_CASE_TEMPLATE("parity 47: first in, first out", Kind, ThreadFifo, ProcessFifo) {
    CHECK(through(typename Kind::template Channel<int>(3), {111, 333, 222}) == std::vector{111, 333, 222});
}

TEST_CASE_TEMPLATE("parity 47: last in, first out", Kind, ThreadLifo, ProcessLifo) {
    CHECK(through(typename Kind::template Channel<int>(3), {111, 333, 222}) == std::vector{222, 333, 111});
}

TEST_CASE_TEMPLATE("parity 47: the least first, or the greatest", Kind, ThreadPriority, ProcessPriority) {
    using Channel = Kind::template Channel<int>;
    using Greatest = Kind::template Channel<int, std::greater<>>;
    CHECK(through(Channel(3), {111, 333, 222}) == std::vector{111, 222, 333});
    CHECK(through(Greatest(3), {111, 333, 222}) == std::vector{333, 222, 111});
}

TEST_CASE_TEMPLATE("parity 47: of equal priorities the one that was put first is got first", Kind,
                   ThreadPriority, ProcessPriority) {
    typename Kind::template Channel<Job, ByPriority> jobs(100);
    for (int i = 0; i < 60; ++i) CHECK(jobs.put({i % 3, i}));
    Job last{0, -1};
    while (const auto job = jobs.try_get()) {
        CHECK(job->priority >= last.priority);
        if (job->priority == last.priority) CHECK(job->number > last.number);
        last = *job;
    }
    CHECK(last.number == 59);
}

TEST_CASE_TEMPLATE("a priority channel sorts whatever comes between puts and gets", Kind, ThreadPriority,
                   ProcessPriority) {
    typename Kind::template Channel<unsigned> numbers(1000);
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

TEST_CASE_TEMPLATE("parity 48: a channel of n takes n values, then says full; one without says empty", Kind,
                   CONFAB_EVERY_CHANNEL) {
    using Channel = Kind::template Channel<int>;
    Channel numbers(2);
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
    CHECK(drain(numbers).size() == 2);
    CHECK_THROWS_AS(Channel(0), std::logic_error);
}

TEST_CASE_TEMPLATE("parity 49: a put that waits goes on with a get, and a get with a put", Kind,
                   CONFAB_EVERY_CHANNEL) {
    using Channel = Kind::template Channel<int>;
    for (const Duration limit : {Duration(10s), Duration::max()}) {
        Channel there(1);
        Channel back(1);
        typename Kind::Party echo([&] {
            while (const auto value = there.get_for(limit)) {
                if (!back.put_for(limit, *value)) return 1;
            }
            return 0;
        });
        echo.until_asleep();
        for (int i = 0; i < 300; ++i) {
            CHECK(there.put_for(limit, i));
            CHECK(back.get_for(limit) == i);
        }
        // Three values for two places and a hand: each put but the first waits for the other side.
        for (int i = 0; i < 3; ++i) CHECK(there.put(i));
        echo.until_asleep();
        for (int i = 0; i < 3; ++i) CHECK(back.get() == i);
        there.close();
        CHECK(echo.join() == 0);
    }
}

TEST_CASE_TEMPLATE("parity 51: what throws on its way in or out leaves the channel as it was", Kind,
                   ThreadPriority, ProcessPriority) {
    const Fickle compare;
    auto numbers = Kind::template make<int>(10, compare);
    for (const int value : {5, 3, 8, 1, 9, 2}) CHECK(numbers.put(value));
    *compare.throws = true;
    CHECK_THROWS_AS(static_cast<void>(numbers.put(0)), std::runtime_error);
    CHECK_THROWS_AS(static_cast<void>(numbers.get()), std::runtime_error);
    CHECK_THROWS_AS(static_cast<void>(numbers.try_put(0)), std::runtime_error);
    CHECK(numbers.size() == 6);
    *compare.throws = false;
    // Neither is the lock held, nor a wake-up lost: somebody else uses both sides.
    CHECK(typename Kind::Party([&] { return numbers.put(4) ? 0 : 1; }).join() == 0);
    CHECK(drain(numbers) == std::vector{1, 2, 3, 4, 5, 8, 9});
}

TEST_CASE_TEMPLATE("parity 51: a put that throws does not count as work to be done", Kind, ThreadPriority,
                   ProcessPriority) {
    const Fickle compare;
    auto numbers = Kind::template make<int>(10, compare);
    CHECK(numbers.put(1));
    *compare.throws = true;
    CHECK_THROWS_AS(static_cast<void>(numbers.put(0)), std::runtime_error);
    *compare.throws = false;
    CHECK(**numbers.take() == 1);
    CHECK(numbers.join_for(0s));
}

TEST_CASE_TEMPLATE("parity 52: a value that cannot be compared with those that are there does not stay in",
                   Kind, ThreadPriority, ProcessPriority) {
    const Fickle compare;
    auto numbers = Kind::template make<int>(10, compare);
    CHECK(numbers.put(1));
    *compare.throws = true;
    CHECK_THROWS_AS(static_cast<void>(numbers.put(1)), std::runtime_error);
    *compare.throws = false;
    CHECK(numbers.size() == 1);
    CHECK(drain(numbers) == std::vector{1});
}

// Values without an order do not go into a priority channel, unless an order comes with them.
template <class T>
concept HasPriorityChannels = requires {
    typename threads::priority_channel<T>;
    typename processes::priority_channel<T>;
};
static_assert(HasPriorityChannels<int>);
static_assert(!HasPriorityChannels<Job>);
static_assert(std::is_constructible_v<threads::priority_channel<Job, ByPriority>, std::size_t>);
static_assert(std::is_constructible_v<processes::priority_channel<Job, ByPriority>, std::size_t>);

TEST_CASE_TEMPLATE("parity 53: closed by anybody, it takes no more, gives what is there, and wakes who waits",
                   Kind, CONFAB_EVERY_CHANNEL) {
    using Channel = Kind::template Channel<int>;
    Channel numbers(2);
    CHECK(numbers.put(1));
    CHECK(numbers.put(2));
    auto putters =
        start<Kind>(3, [&](int) { return numbers.put(9).error() == channel_error::closed ? 0 : 1; });
    for (const auto& putter : putters) putter.until_asleep();
    CHECK(typename Kind::Party([&] {
              numbers.close();
              numbers.close();
              return 0;
          }).join() == 0);
    CHECK(join(putters) == std::vector{0, 0, 0});
    CHECK(numbers.closed());
    CHECK(numbers.put(3).error() == channel_error::closed);
    CHECK(numbers.try_put(3).error() == channel_error::closed);
    CHECK(numbers.size() == 2);
    CHECK(drain(numbers).size() == 2);
    CHECK(numbers.get().error() == channel_error::closed);
    CHECK(numbers.try_get().error() == channel_error::closed);
    CHECK(numbers.get_for(1s).error() == channel_error::closed);

    Channel bare(1);
    auto getters = start<Kind>(3, [&](int) { return bare.get().error() == channel_error::closed ? 0 : 1; });
    for (const auto& getter : getters) getter.until_asleep();
    bare.close();
    CHECK(join(getters) == std::vector{0, 0, 0});
}

TEST_CASE_TEMPLATE("parity 54: closed at once, it drops what is there, and nobody waits for its work", Kind,
                   CONFAB_EVERY_CHANNEL) {
    typename Kind::template Channel<int> numbers(10);
    for (int i = 0; i < 3; ++i) CHECK(numbers.put(i));
    typename Kind::Party joiner([&] {
        numbers.join();
        return 0;
    });
    joiner.until_asleep();
    numbers.close();
    numbers.close_now();
    CHECK(joiner.join() == 0);
    CHECK(numbers.empty());
    CHECK(numbers.get().error() == channel_error::closed);
    CHECK(numbers.put(1).error() == channel_error::closed);
    numbers.close_now();
    numbers.close();
    CHECK(numbers.take().error() == channel_error::closed);
}

TEST_CASE_TEMPLATE("parity 54: what had been taken when it was closed at once is still waited for", Kind,
                   CONFAB_EVERY_CHANNEL) {
    typename Kind::template Channel<int> numbers(10);
    CHECK(numbers.put(1));
    CHECK(numbers.put(2));
    {
        const auto taken = numbers.take();
        REQUIRE(taken.has_value());
        numbers.close_now();
        CHECK_FALSE(numbers.join_for(0s));
    }
    CHECK(numbers.join_for(0s));
}

TEST_CASE_TEMPLATE("parity 55: writers, readers and joiners all end when it is closed midway", Kind,
                   CONFAB_EVERY_CHANNEL) {
    using Count = Kind::template Place<std::atomic<int>>;
    for (const bool at_once : {false, true}) {
        typename Kind::template Channel<int> numbers(256);
        Count put(0);
        Count got(0);
        auto writers = start<Kind>(4, [&](int) {
            for (int value = 0; value < 65'536 / 4 && numbers.put(value); ++value) ++*put;
            return 0;
        });
        auto readers = start<Kind>(6, [&](int) {
            while (const auto value = numbers.take()) ++*got;
            return numbers.take().error() == channel_error::closed ? 0 : 1;
        });
        until([&] { return *got >= 65'536 / 8; });
        auto joiners = start<Kind>(2, [&](int) {
            numbers.join();
            return 0;
        });
        if (at_once) {
            numbers.close_now();
        } else {
            numbers.close();
        }
        CHECK(join(writers) == std::vector<int>(4));
        CHECK(join(readers) == std::vector<int>(6));
        CHECK(join(joiners) == std::vector<int>(2));
        CHECK(*got <= *put);
        if (!at_once) CHECK(*got == *put);
        CHECK(numbers.join_for(0s));
    }
}

TEST_CASE_TEMPLATE("parity 56: each putter's values come in the order it put them, however many there are",
                   Kind, ThreadFifo, ProcessFifo) {
    constexpr int putters = 4;
    constexpr int each = 3000;
    typename Kind::template Channel<std::pair<int, int>> values(16);
    auto all = start<Kind>(putters, [&](int putter) {
        for (int i = 0; i < each; ++i) {
            if (!values.put({putter, i})) return 1;
        }
        return 0;
    });
    std::array<int, putters> next{};
    for (int i = 0; i < putters * each; ++i) {
        const auto value = values.get();
        CHECK(value->second == next[static_cast<std::size_t>(value->first)]++);
    }
    CHECK(join(all) == std::vector<int>(putters));
    CHECK(values.empty());
}

TEST_CASE_TEMPLATE("parity 60: join waits until the work of every value is done", Kind,
                   CONFAB_EVERY_CHANNEL) {
    typename Kind::template Channel<int> numbers(100);
    numbers.join();
    typename Kind::template Place<std::atomic<int>> done(0);
    auto workers = start<Kind>(2, [&](int) {
        while (const auto value = numbers.take()) ++*done;
        return 0;
    });
    for (int round = 1; round <= 3; ++round) {
        for (int i = 0; i < 500; ++i) CHECK(numbers.put(i));
        numbers.join();
        CHECK(*done == 500 * round);
        numbers.join();
    }
    CHECK(numbers.put(0));
    numbers.join();
    numbers.close();
    CHECK(join(workers) == std::vector<int>(2));
    CHECK(*done == 1501);
}

TEST_CASE_TEMPLATE("parity 62: a consumer that throws has still done its work", Kind, CONFAB_EVERY_CHANNEL) {
    typename Kind::template Channel<int> numbers(3);
    CHECK(numbers.put(1));
    typename Kind::Party consumer([&] {
        try {
            const auto number = numbers.take();
            throw std::runtime_error("the consumer fails");
        } catch (const std::runtime_error&) {
        }
        return 0;
    });
    numbers.join();
    CHECK(consumer.join() == 0);
}
