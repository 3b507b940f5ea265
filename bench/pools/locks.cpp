// What the toolbox's locks cost beside the standard library's: taken alone, fought for by two threads, and as
// a way to hand a turn from thread to thread. Prints one JSON object: for each measure and each contender the
// time of an operation in nanoseconds, a figure a round.
//
// The contenders take turns within a round, so that a slow moment of the machine hits all alike; the first
// round warms up and is not reported. Time is the wall's, since what two threads do to each other is no CPU
// time. Counts are fixed, and what the threads count under the locks must come out right.
#include <getopt.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <latch>
#include <memory>
#include <mutex>
#include <semaphore>
#include <thread>
#include <vector>

#include "pools/processes/mutex.hpp"
#include "pools/processes/semaphore.hpp"
#include "pools/threads/condition.hpp"
#include "pools/threads/mutex.hpp"
#include "pools/threads/recursive_mutex.hpp"
#include "pools/threads/semaphore.hpp"

namespace confab::bench {
namespace {

struct Sample {
    double nanoseconds;  // all operations together
    bool is_right;
};

template <class Work>
double time_of(Work work) {
    const auto start = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start).count();
}

// Runs `work(0)` and `work(1)` on two threads that begin together; from the first beginning to the last end.
template <class Work>
double time_of_two(Work work) {
    using Clock = std::chrono::steady_clock;
    std::array<Clock::time_point, 2> begun;
    std::array<Clock::time_point, 2> ended;
    std::latch begin(2);
    const auto run = [&](int number) {
        const auto self = static_cast<std::size_t>(number);
        begin.arrive_and_wait();
        begun[self] = Clock::now();
        work(number);
        ended[self] = Clock::now();
    };
    std::jthread other(run, 1);
    run(0);
    other.join();
    return std::chrono::duration<double, std::nano>(std::max(ended[0], ended[1]) -
                                                    std::min(begun[0], begun[1]))
        .count();
}

// --- One operation: a lock and an unlock, or a permit taken and given back
// ------------------------------------

template <class Lock>
Sample lock_alone(std::uint64_t count) {
    const auto lock = std::make_unique<Lock>();  // where the compiler does not see who else has it
    std::uint64_t sum = 0;
    const double spent = time_of([&] {
        for (std::uint64_t i = 0; i < count; ++i) {
            lock->lock();
            asm volatile("" : "+r"(sum));  // what is guarded happens each time
            ++sum;
            lock->unlock();
        }
    });
    return {spent, sum == count};
}

template <class Lock>
Sample lock_contended(std::uint64_t count) {
    struct alignas(64) Guarded {
        Lock lock;
        std::uint64_t sum = 0;
    };
    const auto guarded = std::make_unique<Guarded>();
    const double spent = time_of_two([&](int) {
        for (std::uint64_t i = 0; i < count / 2; ++i) {
            guarded->lock.lock();
            ++guarded->sum;
            guarded->lock.unlock();
        }
    });
    return {spent, guarded->sum == count / 2 * 2};
}

template <class Semaphore>
Sample permit_alone(std::uint64_t count) {
    const auto permits = std::make_unique<Semaphore>(1);
    const double spent = time_of([&] {
        for (std::uint64_t i = 0; i < count; ++i) {
            permits->acquire();
            permits->release();
        }
    });
    return {spent, permits->try_acquire() && !permits->try_acquire()};
}

// --- One operation: one thread goes on because the other says so
// ------------------------------------------------

template <class Semaphore>
Sample turns_by_semaphores(std::uint64_t count) {
    std::array<Semaphore, 2> may_go = {Semaphore(1), Semaphore(0)};
    std::uint64_t sum = 0;
    const double spent = time_of_two([&](int number) {
        const auto self = static_cast<std::size_t>(number);
        for (std::uint64_t i = 0; i < count / 2; ++i) {
            may_go[self].acquire();
            ++sum;
            may_go[1 - self].release();
        }
    });
    return {spent, sum == count / 2 * 2};
}

template <class Mutex, class Condition>
Sample turns_by_condition(std::uint64_t count) {
    Mutex mutex;
    Condition changed;
    std::uint64_t sum = 0;
    const double spent = time_of_two([&](int number) {
        for (std::uint64_t i = 0; i < count / 2; ++i) {
            std::unique_lock held(mutex);
            changed.wait(held, [&] { return sum % 2 == static_cast<std::uint64_t>(number); });
            ++sum;
            changed.notify_one();
        }
    });
    return {spent, sum == count / 2 * 2};
}

// --- All of them
// -------------------------------------------------------------------------------------------------

struct Contender {
    const char* measure;
    const char* name;
    Sample (*run)(std::uint64_t count);
    std::uint64_t share =
        1;  // does that part of the count: an operation that sleeps takes a thousand times longer
};

constexpr std::uint64_t sleepy = 50;

// The standard's comes first in each measure: the others are divided by it.
constexpr std::array contenders = {
    Contender{"lock and unlock", "std::mutex", lock_alone<std::mutex>},
    Contender{"lock and unlock", "threads::mutex", lock_alone<threads::mutex>},
    Contender{"lock and unlock", "processes::mutex", lock_alone<processes::mutex>},
    Contender{"lock and unlock, recursive", "std::recursive_mutex", lock_alone<std::recursive_mutex>},
    Contender{"lock and unlock, recursive", "threads::recursive_mutex", lock_alone<threads::recursive_mutex>},
    Contender{"lock and unlock, recursive", "processes::recursive_mutex",
              lock_alone<processes::recursive_mutex>},
    Contender{"two threads lock and unlock", "std::mutex", lock_contended<std::mutex>, 2},
    Contender{"two threads lock and unlock", "threads::mutex", lock_contended<threads::mutex>, 2},
    Contender{"two threads lock and unlock", "processes::mutex", lock_contended<processes::mutex>, 2},
    Contender{"acquire and release", "std::counting_semaphore", permit_alone<std::counting_semaphore<>>},
    Contender{"acquire and release", "threads::semaphore", permit_alone<threads::semaphore>},
    Contender{"acquire and release", "processes::semaphore", permit_alone<processes::semaphore>},
    Contender{"a turn by semaphores", "std::counting_semaphore",
              turns_by_semaphores<std::counting_semaphore<>>, sleepy},
    Contender{"a turn by semaphores", "threads::semaphore", turns_by_semaphores<threads::semaphore>, sleepy},
    Contender{"a turn by a condition", "std::condition_variable",
              turns_by_condition<std::mutex, std::condition_variable>, sleepy},
    Contender{"a turn by a condition", "threads::condition",
              turns_by_condition<threads::mutex, threads::condition>, sleepy},
};

struct Options {
    std::uint64_t rounds = 40;
    std::uint64_t count = 100'000;
};

int measure_and_print(const Options& options) {
    std::array<std::vector<double>, contenders.size()> figures;
    bool right = true;
    for (std::uint64_t round = 0; round <= options.rounds; ++round) {
        for (std::size_t i = 0; i < contenders.size(); ++i) {
            const std::uint64_t count = (options.count / contenders[i].share + 1) / 2 * 2;
            const Sample sample = contenders[i].run(count);
            right = right && sample.is_right;
            if (round > 0) figures[i].push_back(sample.nanoseconds / static_cast<double>(count));
        }
    }
    std::printf("{\"rounds\":%llu,\"count\":%llu,\"measures\":{",
                static_cast<unsigned long long>(options.rounds),
                static_cast<unsigned long long>(options.count));
    for (std::size_t i = 0; i < contenders.size(); ++i) {
        const bool first = i == 0 || std::strcmp(contenders[i - 1].measure, contenders[i].measure) != 0;
        if (first) std::printf("%s\"%s\":{", i == 0 ? "" : "},", contenders[i].measure);
        std::printf("%s\"%s\":[", first ? "" : ",", contenders[i].name);
        for (std::size_t n = 0; n < figures[i].size(); ++n)
            std::printf("%s%.2f", n == 0 ? "" : ",", figures[i][n]);
        std::fputs("]", stdout);
    }
    std::fputs("}}}\n", stdout);
    if (!right) std::fputs("locks_bench: the threads counted wrong\n", stderr);
    return right ? 0 : 1;
}

constexpr const char* usage = R"(usage: locks_bench [--rounds N] [--count N]
  --rounds N   samples of each measure and contender (default 40)
  --count N    operations a sample, fewer where threads sleep (default 100000)
)";

std::uint64_t parse_number(const char* name, const char* text) {
    std::uint64_t value = 0;
    const char* const end = text + std::strlen(text);
    const auto [rest, error] = std::from_chars(text, end, value);
    if (error != std::errc() || rest != end || value == 0 || value > 1'000'000'000) {
        std::fprintf(stderr, "locks_bench: --%s %s: a number from 1 to 1000000000\n", name, text);
        std::exit(2);
    }
    return value;
}

Options parse(int argc, char** argv) {
    static constexpr std::array<option, 4> known{{{"rounds", required_argument, nullptr, 'r'},
                                                  {"count", required_argument, nullptr, 'c'},
                                                  {"help", no_argument, nullptr, 'h'},
                                                  {nullptr, 0, nullptr, 0}}};
    Options options;
    for (int letter; (letter = getopt_long(argc, argv, "", known.data(), nullptr)) != -1;) {
        if (letter == '?') std::exit(2);
        if (letter == 'h') {
            std::fputs(usage, stdout);
            std::exit(0);
        }
        if (letter == 'r') options.rounds = parse_number("rounds", optarg);
        if (letter == 'c') options.count = parse_number("count", optarg);
    }
    if (optind != argc) {
        std::fputs(usage, stderr);
        std::exit(2);
    }
    return options;
}

}  // namespace
}  // namespace confab::bench

int main(int argc, char** argv) { return confab::bench::measure_and_print(confab::bench::parse(argc, argv)); }
