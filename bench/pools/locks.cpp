// What the toolbox's locks cost beside the standard library's: taken alone, fought for by two threads, and as
// a way to hand a turn from thread to thread.
#include <array>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <semaphore>
#include <vector>

#include "bench/pools/measures.hpp"
#include "pools/processes/mutex.hpp"
#include "pools/processes/semaphore.hpp"
#include "pools/threads/condition.hpp"
#include "pools/threads/mutex.hpp"
#include "pools/threads/recursive_mutex.hpp"
#include "pools/threads/semaphore.hpp"

namespace confab::bench {
namespace {

// --- One operation: a lock and an unlock, or a permit taken and given back -----------------------------

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
    const double spent = time_of_threads<2>([&](int) {
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

// --- One operation: one thread goes on because the other says so ---------------------------------------

template <class Semaphore>
Sample turns_by_semaphores(std::uint64_t count) {
    std::array<Semaphore, 2> may_go = {Semaphore(1), Semaphore(0)};
    std::uint64_t sum = 0;
    const double spent = time_of_threads<2>([&](int number) {
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
    const double spent = time_of_threads<2>([&](int number) {
        for (std::uint64_t i = 0; i < count / 2; ++i) {
            std::unique_lock held(mutex);
            changed.wait(held, [&] { return sum % 2 == static_cast<std::uint64_t>(number); });
            ++sum;
            changed.notify_one();
        }
    });
    return {spent, sum == count / 2 * 2};
}

// --- All of them ---------------------------------------------------------------------------------------

constexpr std::uint64_t sleepy = 50;

// The standard's comes first in each measure: the others are divided by it.
const std::vector<Contender> contenders = {
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

}  // namespace
}  // namespace confab::bench

int main(int argc, char** argv) {
    using namespace confab::bench;
    return measure_and_print("locks_bench", parse_options("locks_bench", argc, argv), contenders);
}
