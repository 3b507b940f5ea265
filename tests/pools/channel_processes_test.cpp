// Channels between processes: parity 47 to 49, 53 to 63, and what becomes of them when processes are killed.
// Here everything forks, so that nothing may start a thread.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <map>
#include <memory>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "pools/processes/channel.hpp"
#include "pools/processes/shared_memory.hpp"
#include "tests/support/child.hpp"

using namespace confab;
using namespace std::chrono_literals;
using processes::channel;
using processes::delivery;
using processes::shared;

namespace {

// A value that a process dies of, with the getters' lock, when it wants to.
struct Fatal {
    int number;
    static inline bool kills_its_reader = false;
};

}  // namespace

template <>
struct processes::message_format<Fatal> {
    static std::span<const std::byte> encode(const Fatal& value) {
        return std::as_bytes(std::span(&value, 1));
    }
    static Fatal decode(std::span<const std::byte> begin, std::span<const std::byte> end) {
        if (Fatal::kills_its_reader) ::kill(::getpid(), SIGKILL);
        return {message_format<int>::decode(begin, end)};
    }
};

namespace {

template <class T>
std::vector<T> drain(channel<T>& values) {
    std::vector<T> all;
    while (auto value = values.try_get()) all.push_back(std::move(*value));
    return all;
}

}  // namespace

TEST_CASE("parity 47: values come out of another process's hands in the order they were put") {
    channel<int> numbers(3);
    Child putter([&] {
        for (int i = 0; i < 1000; ++i) {
            if (!numbers.put(i)) return 1;
        }
        return 0;
    });
    for (int i = 0; i < 1000; ++i) CHECK(numbers.get() == i);
    CHECK(putter.join() == 0);
}

TEST_CASE("parity 48: a channel between processes has the room that was asked for") {
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
    CHECK_THROWS_AS(channel<int>(0), std::logic_error);
}

TEST_CASE("parity 49: a process that waits to put or to get goes on when the other side has") {
    for (const Duration limit : {Duration(10s), Duration::max()}) {
        channel<int> there(1);
        channel<int> back(1);
        Child echo([&] {
            while (const auto value = there.get_for(limit)) {
                if (!back.put_for(limit, *value)) return 1;
            }
            return 0;
        });
        echo.until_asleep();
        for (int i = 0; i < 300; ++i) {
            CHECK(there.put(i));
            CHECK(back.get() == i);
        }
        for (int i = 0; i < 3; ++i) CHECK(there.put(i));
        echo.until_asleep();
        for (int i = 0; i < 3; ++i) CHECK(back.get() == i);
        there.close();
        CHECK(echo.join() == 0);
    }
}

TEST_CASE(
    "parity 53: closed by any process, it takes no more, gives what is there, and wakes those who wait") {
    channel<int> numbers(2);
    CHECK(numbers.put(1));
    CHECK(numbers.put(2));
    std::vector<Child> putters;
    for (int i = 0; i < 3; ++i) {
        putters.emplace_back([&] { return numbers.put(9).error() == channel_error::closed ? 0 : 1; });
        putters.back().until_asleep();
    }
    CHECK(Child([&] {
              numbers.close();
              numbers.close();
              return 0;
          }).join() == 0);
    for (Child& putter : putters) CHECK(putter.join() == 0);
    CHECK(numbers.closed());
    CHECK(numbers.put(3).error() == channel_error::closed);
    CHECK(numbers.try_put(3).error() == channel_error::closed);
    CHECK(drain(numbers) == std::vector{1, 2});
    CHECK(numbers.get().error() == channel_error::closed);
    CHECK(numbers.get_for(1s).error() == channel_error::closed);

    channel<int> bare(1);
    std::vector<Child> getters;
    for (int i = 0; i < 3; ++i) {
        getters.emplace_back([&] { return bare.get().error() == channel_error::closed ? 0 : 1; });
        getters.back().until_asleep();
    }
    bare.close();
    for (Child& getter : getters) CHECK(getter.join() == 0);
}

TEST_CASE("parity 54: closed at once, it drops what is there, and who waits for the work goes on") {
    channel<std::string> names(10);
    for (int i = 0; i < 3; ++i) CHECK(names.put("name"));
    Child joiner([&] {
        names.join();
        return 0;
    });
    joiner.until_asleep();
    names.close();
    names.close_now();
    CHECK(joiner.join() == 0);
    CHECK(names.get().error() == channel_error::closed);
    CHECK(names.put("late").error() == channel_error::closed);
    CHECK(names.empty());
    names.close_now();
    names.close();
    CHECK(names.take().error() == channel_error::closed);
}

TEST_CASE("parity 55: writers, readers and joiners in their own processes all end when it is closed midway") {
    for (const bool at_once : {false, true}) {
        channel<int> numbers(64);
        shared<std::atomic<int>> put;
        shared<std::atomic<int>> got;
        std::vector<Child> workers;
        for (int i = 0; i < 4; ++i) {
            workers.emplace_back([&] {
                for (int value = 0; value < 16'384 && numbers.put(value); ++value) ++*put;
                return 0;
            });
        }
        for (int i = 0; i < 6; ++i) {
            workers.emplace_back([&] {
                while (numbers.take()) ++*got;
                return 0;
            });
        }
        until([&] { return *got >= 20'000; });
        for (int i = 0; i < 2; ++i) {
            workers.emplace_back([&] {
                numbers.join();
                return 0;
            });
        }
        if (at_once) {
            numbers.close_now();
        } else {
            numbers.close();
        }
        for (Child& worker : workers) CHECK(worker.join() == 0);
        CHECK(*got <= *put);
        if (!at_once) CHECK(*got == *put);
        CHECK(numbers.join_for(0s));
    }
}

TEST_CASE("parity 56: each process's values come in the order it put them") {
    constexpr int putters = 3;
    constexpr int each = 3000;
    struct Value {
        int putter;
        int number;
    };
    channel<Value> values(16);
    std::vector<Child> all;
    for (int putter = 0; putter < putters; ++putter) {
        all.emplace_back([&, putter] {
            for (int i = 0; i < each; ++i) {
                if (!values.put({putter, i})) return 1;
            }
            return 0;
        });
    }
    std::array<int, putters> next{};
    for (int i = 0; i < putters * each; ++i) {
        const auto value = values.get();
        CHECK(value->number == next[static_cast<std::size_t>(value->putter)]++);
    }
    for (Child& putter : all) CHECK(putter.join() == 0);
    CHECK(values.empty());
}

TEST_CASE("parity 57: what was put is there though the putter was killed right after, or left by _exit") {
    const std::string large(100'000, 'x');
    for (const bool is_killed : {false, true}) {
        channel<std::string> texts(5, delivery::at_most_once, large.size());
        Child putter([&] {
            for (int i = 0; i < 5; ++i) {
                if (!texts.put(large + std::to_string(i))) return 1;
            }
            if (is_killed) ::kill(::getpid(), SIGKILL);
            ::_exit(0);
        });
        CHECK(putter.join() == (is_killed ? -SIGKILL : 0));
        for (int i = 0; i < 5; ++i) CHECK(texts.get() == large + std::to_string(i));
        CHECK(texts.empty());
    }
}

TEST_CASE("parity 58: a process ends though nobody has got what it put") {
    channel<int> numbers(1000);
    Child putter([&] {
        while (numbers.try_put(1)) {
        }
        return 0;
    });
    CHECK(putter.join() == 0);
    CHECK(numbers.size() == 1000);
}

// Parity 59, a value that cannot be sent: it does not compile.
struct Polymorphic {
    virtual ~Polymorphic() = default;
};
static_assert(processes::message<int> && processes::message<std::string> &&
              processes::message<std::vector<double>>);
static_assert(processes::message<std::map<std::string, std::vector<std::string>>>);
static_assert(!processes::message<int*> && !processes::message<Polymorphic> &&
              !processes::message<std::string_view>);
static_assert(!processes::message<shared<int>> && !processes::message<std::vector<int>*>);

TEST_CASE("values that have to be serialised come out as they went in") {
    using Index = std::map<std::string, std::vector<std::string>>;
    channel<Index> indices(10, delivery::at_most_once, 100);
    const Index index{{"one", {"a", "b"}}, {"two", {}}, {"three", {std::string(80, 'x')}}};
    Child putter([&] {
        for (int i = 0; i < 100; ++i) {
            if (!indices.put(index)) return 1;
        }
        return 0;
    });
    for (int i = 0; i < 100; ++i) CHECK((indices.get() == index));
    CHECK(putter.join() == 0);
}

TEST_CASE("parity 59: a reader killed while it waits takes nothing with him") {
    channel<int> numbers(10);
    for (int round = 0; round < 20; ++round) {
        Child reader([&] { return numbers.get() ? 0 : 1; });
        reader.until_asleep();
        CHECK(reader.kill() == -SIGKILL);
        CHECK(numbers.put(round));
        CHECK(numbers.get() == round);
    }
}

TEST_CASE("a value that was meant for a reader who is killed instead goes to the one who still waits") {
    channel<int> numbers(10);
    Child first([&] { return numbers.get() ? 0 : 1; });
    first.until_asleep();
    Child second([&] { return numbers.get() == 1 ? 0 : 1; });
    second.until_asleep();
    first.send(SIGSTOP);
    until([&] { return state_of(first.pid()) == 'T'; });
    CHECK(numbers.put(1));  // wakes the one that slept longest, who cannot run
    CHECK(first.kill() == -SIGKILL);
    CHECK(second.join() == 0);
}

TEST_CASE("parity 60: join waits until every process has done its work") {
    channel<int> numbers(100);
    numbers.join();
    shared<std::atomic<int>> done;
    std::vector<Child> workers;
    for (int i = 0; i < 2; ++i) {
        workers.emplace_back([&] {
            while (const auto value = numbers.take()) ++*done;
            return 0;
        });
    }
    for (int round = 1; round <= 3; ++round) {
        for (int i = 0; i < 500; ++i) CHECK(numbers.put(i));
        numbers.join();
        CHECK(*done == 500 * round);
        numbers.join();
    }
    numbers.close();
    for (Child& worker : workers) CHECK(worker.join() == 0);
}

// Parity 61, task_done once too often: there is none to call. A guard does it, once.

TEST_CASE("parity 62: a consumer that throws has still done its work; until then the value keeps its place") {
    channel<int> numbers(2);
    CHECK(numbers.put(1));
    CHECK(numbers.put(2));
    {
        const auto one = numbers.take();
        CHECK_FALSE(numbers.join_for(0s));
        CHECK(numbers.full());
    }
    CHECK_FALSE(numbers.full());
    try {
        const auto two = numbers.take();
        CHECK(**two == 2);
        throw std::runtime_error("the consumer fails");
    } catch (const std::runtime_error&) {
    }
    CHECK(numbers.join_for(0s));
}

TEST_CASE("work that is done out of order frees its place in order") {
    channel<int> numbers(3);
    for (int i = 0; i < 3; ++i) CHECK(numbers.put(i));
    auto zero = std::make_unique<std::expected<channel<int>::Taken, channel_error>>(numbers.take());
    auto one = std::make_unique<std::expected<channel<int>::Taken, channel_error>>(numbers.take());
    CHECK(***one == 1);
    one.reset();
    CHECK(numbers.full());
    zero.reset();
    CHECK(numbers.try_put(3));
    CHECK(numbers.try_put(4));
    CHECK(drain(numbers) == std::vector{2, 3, 4});
}

TEST_CASE("what a fork makes of a taken value has no effect") {
    channel<int> numbers(1);
    CHECK(numbers.put(1));
    auto taken = std::make_unique<std::expected<channel<int>::Taken, channel_error>>(numbers.take());
    CHECK(Child([&] {
              taken.reset();
              return 0;
          }).join() == 0);
    CHECK_FALSE(numbers.join_for(0s));
    taken.reset();
    CHECK(numbers.join_for(0s));
}

TEST_CASE("parity 63: the work of a killed consumer is counted as lost, and join returns") {
    channel<int> numbers(10);
    for (int i = 0; i < 3; ++i) CHECK(numbers.put(i));
    Child consumer([&] {
        const auto one = numbers.take();
        const auto other = numbers.take();
        ::pause();
        return 0;
    });
    until([&] { return numbers.size() == 1; });
    Child joiner([&] {
        numbers.join();
        return 0;
    });
    joiner.until_asleep();
    CHECK(consumer.kill() == -SIGKILL);
    CHECK(numbers.get() == 2);
    CHECK(joiner.join() == 0);
    CHECK(numbers.deaths().lost == 2);
    CHECK(numbers.try_get().error() == channel_error::empty);
}

TEST_CASE("parity 63: at least once, the next one gets what a killed consumer had, before what came later") {
    channel<std::string> names(10, delivery::at_least_once);
    for (const char* name : {"a", "b", "c"}) CHECK(names.put(name));
    Child consumer([&] {
        const auto one = names.take();
        const auto other = names.take();
        ::pause();
        return 0;
    });
    until([&] { return names.size() == 1; });
    names.close();
    CHECK(names.get() == "c");
    // Nothing is left but what the consumer has, and he lives: so this one waits.
    Child heir([&] {
        const auto one = names.take();
        const auto other = names.take();
        return **one == "a" && **other == "b" && names.get().error() == channel_error::closed ? 0 : 1;
    });
    heir.until_asleep();
    CHECK(consumer.kill() == -SIGKILL);
    CHECK(heir.join() == 0);
    CHECK(names.deaths().redelivered == 2);
    names.join();
}

TEST_CASE("at least once, readers of a closed channel go when the last work is done, and not before") {
    channel<int> numbers(10, delivery::at_least_once);
    CHECK(numbers.put(1));
    auto taken = std::make_unique<std::expected<channel<int>::Taken, channel_error>>(numbers.take());
    numbers.close();
    Child reader([&] { return numbers.get().error() == channel_error::closed ? 0 : 1; });
    reader.until_asleep();
    taken.reset();
    CHECK(reader.join() == 0);
}

TEST_CASE("what was taken, given on and done in any order is free once all of it is done") {
    channel<int> numbers(2, delivery::at_least_once);
    CHECK(numbers.put(1));
    CHECK(numbers.put(2));
    Child consumer([&] {
        const auto one = numbers.take();
        ::pause();
        return 0;
    });
    until([&] { return numbers.size() == 1; });
    auto later = std::make_unique<std::expected<channel<int>::Taken, channel_error>>(numbers.take());
    CHECK(***later == 2);
    CHECK(consumer.kill() == -SIGKILL);
    {
        const auto again = numbers.take();  // which lies before what was taken in the meantime
        CHECK(**again == 1);
        later.reset();
    }
    CHECK(numbers.join_for(0s));
    CHECK(numbers.try_put(3));
    CHECK(numbers.try_put(4));
}

TEST_CASE("a reader killed with the lock leaves to others the room of what they have done") {
    channel<Fatal> values(2);
    CHECK(values.put({1}));
    CHECK(values.put({2}));
    {
        const auto taken = values.take();
        Child reader([&] {
            Fatal::kills_its_reader = true;
            static_cast<void>(values.get());
            return 0;
        });
        CHECK(reader.join() == -SIGKILL);
        CHECK(values.try_put({3}).error() == channel_error::full);
    }
    CHECK(values.try_put({3}));
    CHECK(values.deaths().getters == 1);
    CHECK(values.get()->number == 2);
    CHECK(values.get()->number == 3);
    CHECK(values.join_for(0s));
}

TEST_CASE("values of any size go around the end of the memory, empty ones, too") {
    channel<std::string> texts(10, delivery::at_most_once, 50);
    Child putter([&] {
        for (std::size_t i = 0; i < 3000; ++i) {
            if (!texts.put(std::string(i % 301, static_cast<char>('a' + i % 26)))) return 1;
        }
        return 0;
    });
    for (std::size_t i = 0; i < 3000; ++i)
        CHECK(texts.get() == std::string(i % 301, static_cast<char>('a' + i % 26)));
    CHECK(putter.join() == 0);
    CHECK_THROWS_AS(static_cast<void>(texts.put(std::string(1000, 'x'))), std::logic_error);
}

TEST_CASE("a process that is no child attaches the channel by its descriptor; other memory is refused") {
    channel<int> numbers(10);
    CHECK(numbers.put(5));
    auto other = channel<int>::attach(Fd(::fcntl(numbers.descriptor().get(), F_DUPFD_CLOEXEC, 0)));
    CHECK(other.get() == 5);
    CHECK(other.put(6));
    CHECK(numbers.get() == 6);
    const processes::shared_memory memory(100'000);
    CHECK_THROWS_AS(channel<int>::attach(Fd(::fcntl(memory.descriptor().get(), F_DUPFD_CLOEXEC, 0))),
                    std::invalid_argument);
    auto of_text = channel<std::string>::attach(Fd(::fcntl(numbers.descriptor().get(), F_DUPFD_CLOEXEC, 0)));
    CHECK(of_text.put("longer than an int"));
    CHECK_THROWS_AS(static_cast<void>(numbers.get()), std::logic_error);
    CHECK(of_text.get() == "longer than an int");
}

namespace {

// What the processes of a round tell one another and the test, whoever is killed.
struct Tally {
    static constexpr std::size_t writers = 2;
    static constexpr std::size_t most = 1 << 17;  // values a writer; then it has come to its end

    std::array<std::atomic<std::uint32_t>, writers> accepted;  // puts that have returned
    std::array<std::array<std::atomic<std::uint8_t>, most>, writers> seen;
    std::atomic<std::uint32_t> received;
};

struct Stamp {
    std::uint32_t writer;
    std::uint32_t number;
    std::array<std::uint32_t, 10> filling;  // of which each must be `number`
};

void write_until_closed(channel<Stamp>& stamps, Tally& tally, std::uint32_t writer) {
    for (std::uint32_t number = 0; number < Tally::most; ++number) {
        Stamp stamp{writer, number, {}};
        stamp.filling.fill(number);
        if (!stamps.put(stamp)) return;
        tally.accepted[writer] = number + 1;
    }
}

// False for a value that was damaged.
bool note(const Stamp& stamp, Tally& tally) {
    for (const std::uint32_t word : stamp.filling) {
        if (word != stamp.number) return false;
    }
    ++tally.seen[stamp.writer][stamp.number];
    ++tally.received;
    return true;
}

int read_until_closed(channel<Stamp>& stamps, Tally& tally, bool takes) {
    while (true) {
        if (takes) {
            auto taken = stamps.take();
            if (!taken) return 0;
            if (!note(**taken, tally)) return 1;
        } else {
            const auto stamp = stamps.get();
            if (!stamp) return 0;
            if (!note(*stamp, tally)) return 1;
        }
    }
}

// Two writers, three readers; one of each is killed at a moment that nobody chose. What is left ends by
// itself.
void kill_one_of_each(delivery how, std::size_t capacity, std::mt19937& random) {
    shared<Tally> tally;
    channel<Stamp> stamps(capacity, how);
    std::vector<Child> writers;
    std::vector<Child> readers;
    for (std::uint32_t i = 0; i < Tally::writers; ++i) {
        writers.emplace_back([&, i] {
            write_until_closed(stamps, *tally, i);
            // The one that is to be killed must be there for it, even if nobody let the test run for long.
            if (i == 0) ::pause();
            return 0;
        });
    }
    for (int i = 0; i < 3; ++i) {
        readers.emplace_back(
            [&] { return read_until_closed(stamps, *tally, how == delivery::at_least_once); });
    }
    const auto pass = [&] {
        const std::uint32_t more = tally->received + random() % 400;
        until([&] { return tally->received >= more || tally->accepted[1] == Tally::most; });
        for (volatile unsigned spin = random() % 4096; spin > 0; spin = spin - 1) {
        }
    };
    pass();
    CHECK(readers[0].kill() == -SIGKILL);
    pass();
    CHECK(writers[0].kill() == -SIGKILL);
    pass();
    stamps.close();
    CHECK(writers[1].join() == 0);
    CHECK(readers[1].join() == 0);
    CHECK(readers[2].join() == 0);

    std::uint32_t missing = 0;
    std::uint32_t repeated = 0;
    std::uint32_t unaccepted = 0;
    for (std::size_t writer = 0; writer < Tally::writers; ++writer) {
        const std::uint32_t accepted = tally->accepted[writer];
        for (std::uint32_t i = 0; i < accepted; ++i) missing += tally->seen[writer][i] == 0 ? 1 : 0;
        for (std::uint32_t i = 0; i < Tally::most; ++i) repeated += tally->seen[writer][i] > 1 ? 1 : 0;
        for (std::uint32_t i = accepted + 1; i < Tally::most; ++i) unaccepted += tally->seen[writer][i];
    }
    // The killed reader had one at most. The killed writer may have put one of which he could not tell.
    if (how == delivery::at_most_once) {
        CHECK(missing <= 1);
        CHECK(repeated == 0);
    } else {
        CHECK(missing == 0);
        CHECK(repeated <= 1);
    }
    CHECK(unaccepted == 0);
    CHECK(stamps.join_for(0s));
    CHECK(stamps.empty());
}

}  // namespace

TEST_CASE("writers and readers killed at any moment lose nothing that was accepted, and block nobody") {
    const auto seed = std::random_device()();
    CAPTURE(seed);
    std::mt19937 random(seed);
    for (int round = 0; round < 60; ++round) {
        CAPTURE(round);
        const std::size_t capacity =
            std::array<std::size_t, 4>{1, 3, 64, 1000}[static_cast<std::size_t>(round) % 4];
        kill_one_of_each(round % 2 == 0 ? delivery::at_most_once : delivery::at_least_once, capacity, random);
    }
}
