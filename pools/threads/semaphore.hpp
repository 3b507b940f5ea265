// Public: permits that threads take and give back.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <stop_token>

#include "pools/clock.hpp"
#include "pools/futex.hpp"

namespace confab::threads {

/// Counts permits. Any thread may give back what another took, so it also hands things over and counts them.
/// Permits go to whoever comes first when there are some, which need not be who has waited longest. Any
/// thread. Requires: nobody waits, and no release() is under way, when it dies.
class semaphore {
  public:
    static constexpr std::ptrdiff_t most = INT32_MAX;

    /// Begins with `permits`. Throws std::invalid_argument when that is negative or over `most`.
    explicit semaphore(std::ptrdiff_t permits = 1) : semaphore(permits, most) {}
    semaphore(const semaphore&) = delete;
    semaphore& operator=(const semaphore&) = delete;

    /// How many there were a moment ago.
    std::ptrdiff_t available() const { return permits_.load(std::memory_order_relaxed); }

    /// Takes a permit if there is one.
    [[nodiscard]] bool try_acquire() {
        std::uint32_t seen = permits_.load(std::memory_order_relaxed);
        while (seen > 0) {
            if (permits_.compare_exchange_weak(seen, seen - 1, std::memory_order_acquire,
                                               std::memory_order_relaxed))
                return true;
        }
        return false;
    }

    /// Waits for a permit and takes it.
    void acquire() { (void)acquire_until(never); }

    /// The same, for `limit` at most; gives whether it was had in time. Zero or less only tries.
    [[nodiscard]] bool acquire_for(Duration limit) { return acquire_until(deadline_in(limit)); }
    [[nodiscard]] bool acquire_until(Instant deadline) { return acquire_until({}, deadline); }

    /// The same, until a stop is requested at most.
    [[nodiscard]] bool acquire(const std::stop_token& stop) { return acquire_until(stop, never); }
    [[nodiscard]] bool acquire_for(const std::stop_token& stop, Duration limit) {
        return acquire_until(stop, deadline_in(limit));
    }
    [[nodiscard]] bool acquire_until(const std::stop_token& stop, Instant deadline) {
        return try_acquire() || (deadline != Instant::min() && acquire_late(stop, deadline));
    }

    /// Gives back `permits`, or adds them (zero: no effect). Throws std::logic_error, and changes nothing,
    /// when that is negative or there would be more than there may be.
    void release(std::ptrdiff_t permits = 1);

  protected:
    semaphore(std::ptrdiff_t permits, std::ptrdiff_t bound);

  private:
    bool acquire_late(const std::stop_token& stop, Instant deadline);

    FutexWord permits_;
    std::atomic<std::uint32_t> sleepers_ = 0;  // threads that may be asleep
    const std::uint32_t bound_;
};

/// A semaphore that never has more permits than it began with, so that one given back twice is found out.
class bounded_semaphore : public semaphore {
  public:
    explicit bounded_semaphore(std::ptrdiff_t permits = 1) : semaphore(permits, permits) {}
};

}  // namespace confab::threads
