// What becomes of channels between processes when those are killed: parity 57, 59 and 63. Here everything
// forks, so that nothing may start a thread.
#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "pools/processes/identity.hpp"
#include "pools/processes/shared_memory.hpp"
#include "tests/pools/channel_kinds.hpp"
#include "tests/support/kill_after.hpp"

using namespace confab;
using namespace std::chrono_literals;
using processes::delivery;
using processes::shared;

namespace {

// A value that a process dies of, with a lock, when it wants to.
struct Fatal {
    int number;
    static inline bool kills_its_reader = false;
    friend bool operator<(const Fatal& one, const Fatal& other) { return one.number < other.number; }
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

TEST_CASE_TEMPLATE(
    "parity 57: what was put is there though the putter was killed right after, or left by _exit", Kind,
    CONFAB_BETWEEN_PROCESSES) {
    const std::string large(100'000, 'x');
    for (const bool is_killed : {false, true}) {
        typename Kind::template Channel<std::string> texts(5, delivery::at_most_once, large.size());
        Child putter([&] {
            for (int i = 0; i < 5; ++i) {
                if (!texts.put(large + std::to_string(i))) return 1;
            }
            if (is_killed) ::kill(::getpid(), SIGKILL);
            ::_exit(0);
        });
        CHECK(putter.join() == (is_killed ? -SIGKILL : 0));
        std::vector<std::string> all = drain(texts);
        std::ranges::sort(all);
        REQUIRE(all.size() == 5);
        for (std::size_t i = 0; i < 5; ++i) CHECK(all[i] == large + std::to_string(i));
    }
}

TEST_CASE_TEMPLATE("parity 59: a reader killed while it waits takes nothing with him", Kind,
                   CONFAB_BETWEEN_PROCESSES) {
    typename Kind::template Channel<int> numbers(10);
    for (int round = 0; round < 20; ++round) {
        Child reader([&] { return numbers.get() ? 0 : 1; });
        reader.until_asleep();
        CHECK(reader.kill() == -SIGKILL);
        CHECK(numbers.put(round));
        CHECK(numbers.get() == round);
    }
}

TEST_CASE_TEMPLATE(
    "a value that was meant for a reader who is killed instead goes to the one who still waits", Kind,
    CONFAB_BETWEEN_PROCESSES) {
    typename Kind::template Channel<int> numbers(10);
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

TEST_CASE_TEMPLATE("parity 63: the work of a killed consumer is counted as lost, and join returns", Kind,
                   CONFAB_BETWEEN_PROCESSES) {
    typename Kind::template Channel<int> numbers(10);
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
    CHECK(numbers.get().has_value());
    CHECK(joiner.join() == 0);
    CHECK(numbers.deaths().lost == 2);
    CHECK(numbers.try_get().error() == channel_error::empty);
}

TEST_CASE_TEMPLATE(
    "parity 63: at least once, the next one gets what a killed consumer had, before what came later", Kind,
    ProcessFifo, ProcessPriority) {
    typename Kind::template Channel<std::string> names(10, delivery::at_least_once);
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

TEST_CASE_TEMPLATE("at least once, readers of a closed channel go when the last work is done, and not before",
                   Kind, CONFAB_BETWEEN_PROCESSES) {
    typename Kind::template Channel<int> numbers(10, delivery::at_least_once);
    CHECK(numbers.put(1));
    auto taken = std::make_unique<decltype(numbers.take())>(numbers.take());
    numbers.close();
    Child reader([&] { return numbers.get().error() == channel_error::closed ? 0 : 1; });
    reader.until_asleep();
    taken.reset();
    CHECK(reader.join() == 0);
}

TEST_CASE_TEMPLATE("what was taken, given on and done in any order is free once all of it is done", Kind,
                   ProcessFifo, ProcessPriority) {
    typename Kind::template Channel<int> numbers(2, delivery::at_least_once);
    CHECK(numbers.put(1));
    CHECK(numbers.put(2));
    Child consumer([&] {
        const auto one = numbers.take();
        ::pause();
        return 0;
    });
    until([&] { return numbers.size() == 1; });
    auto later = std::make_unique<decltype(numbers.take())>(numbers.take());
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

TEST_CASE_TEMPLATE("a reader killed with the lock leaves to others the room of what they have done", Kind,
                   CONFAB_BETWEEN_PROCESSES) {
    typename Kind::template Channel<Fatal> values(2);
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
    CHECK(drain(values).size() == 2);
    CHECK(values.join_for(0s));
}

namespace {

// What a process does with a channel of texts.
template <class Channel>
struct Deed {
    const char* name;
    std::function<void(Channel&)> act;
    int added;          // messages, if it was done
    int removed;        // if it was done
    long stride = 101;  // of instructions between two kills; a prime, so that loops are met everywhere
};

template <class Channel>
std::vector<Deed<Channel>> all_deeds() {
    return {
        {"put", [](Channel& texts) { (void)texts.try_put("new"); }, 1, 0},
        {"put a large one", [](Channel& texts) { (void)texts.try_put(std::string(60, 'n')); }, 1, 0},
        {"get", [](Channel& texts) { (void)texts.try_get(); }, 0, 1},
        // Its death is noticed only after a time.
        {"take and die", [](Channel& texts) { (void)(texts.try_take() && ::raise(SIGKILL) == 0); }, 0, 1,
         307},
        {"take and do", [](Channel& texts) { (void)texts.try_take(); }, 0, 1, 307},
        {"close", [](Channel& texts) { texts.close_now(); }, 0, 4},
    };
}

}  // namespace

// Whatever was done or half done: each message is there as a whole or not at all, and all room comes back.
TEST_CASE_TEMPLATE("killed between any two instructions, a process leaves a channel in order", Kind,
                   CONFAB_BETWEEN_PROCESSES) {
    using Channel = Kind::template Channel<std::string>;
    const std::array<std::string, 4> before{"a", std::string(50, 'b'), "c", std::string(30, 'd')};
    for (const auto& deed : all_deeds<Channel>()) {
        CAPTURE(deed.name);
        for (long instructions = 1;; instructions += deed.stride) {
            CAPTURE(instructions);
            Channel texts(20, delivery::at_most_once, 16);
            for (const std::string& text : before) REQUIRE(texts.try_put(text));
            const bool is_killed = kill_after(instructions, [&](const auto& begin) {
                processes::identity::mine();  // reads files, once in a process
                begin();
                deed.act(texts);
            });

            const std::vector<std::string> left = drain(texts);
            const auto count = static_cast<int>(left.size());
            CHECK(count >= 4 - deed.removed);
            CHECK(count <= 4 + deed.added);
            for (const std::string& text : left) {
                const bool is_whole =
                    std::ranges::count(before, text) == 1 || text == "new" || text == std::string(60, 'n');
                CHECK(is_whole);
            }
            CHECK(texts.join_for(60s));  // also what it had taken is noticed
            CHECK(texts.empty());
            if (!texts.closed()) {
                for (int i = 0; i < 20; ++i) CHECK(texts.try_put(std::string(16, 'x')));
                CHECK(texts.full());
            }
            if (!is_killed) break;
        }
    }
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
    friend bool operator<(const Stamp& one, const Stamp& other) { return one.number < other.number; }
};

template <class Channel>
void write_until_closed(Channel& stamps, Tally& tally, std::uint32_t writer) {
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

template <class Channel>
int read_until_closed(Channel& stamps, Tally& tally, bool takes) {
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
template <class Channel>
void kill_one_of_each(delivery how, std::size_t capacity, std::mt19937& random) {
    shared<Tally> tally;
    Channel stamps(capacity, how);
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

TEST_CASE_TEMPLATE(
    "writers and readers killed at any moment lose nothing that was accepted, and block nobody", Kind,
    CONFAB_BETWEEN_PROCESSES) {
    const auto seed = std::random_device()();
    CAPTURE(seed);
    std::mt19937 random(seed);
    for (int round = 0; round < 40; ++round) {
        CAPTURE(round);
        const std::size_t capacity =
            std::array<std::size_t, 4>{1, 3, 64, 1000}[static_cast<std::size_t>(round) % 4];
        kill_one_of_each<typename Kind::template Channel<Stamp>>(
            round % 2 == 0 ? delivery::at_most_once : delivery::at_least_once, capacity, random);
    }
}
