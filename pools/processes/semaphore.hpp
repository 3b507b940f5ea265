// Public: permits that processes take and give back, in memory they share.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <stop_token>

#include "pools/clock.hpp"
#include "pools/futex.hpp"
#include "pools/processes/identity.hpp"
#include "pools/processes/mutex.hpp"

namespace confab::processes {

/// Counts permits. It lies in shared memory (shared<T>), made by one process and used by all.
///
/// **A permit belongs to the process that took it,** until that gives one back; when it ends without, however
/// it ends, its permits come back. Who looks for one in vain sees to that: at once, and while waiting every
/// life_check_interval. So a process gives back its own first, and what it gives beyond them is new. To hand
/// things from process to process, where what was taken is not to come back, use a channel.
///
/// Permits go to whoever comes first when there are some. Any thread of any process. It is never destroyed.
class semaphore {
  public:
    static constexpr std::ptrdiff_t most = INT32_MAX;
    /// So many processes can hold permits at a time; each takes 24 bytes here.
    static constexpr std::size_t most_holders = 128;

    /// Begins with `permits`. Throws std::invalid_argument when that is negative or over `most`.
    explicit semaphore(std::ptrdiff_t permits = 1) : semaphore(permits, most) {}
    semaphore(const semaphore&) = delete;
    semaphore& operator=(const semaphore&) = delete;

    /// How many there were a moment ago, without those of the dead that nobody has looked for.
    std::ptrdiff_t available() const { return available_.load(std::memory_order_relaxed); }

    /// Takes a permit if there is one. Throws std::system_error (not_enough_memory) when `most_holders` other
    /// processes hold permits.
    [[nodiscard]] bool try_acquire() { return acquire_until(Instant::min()); }

    /// Waits for a permit and takes it. Throws what try_acquire() does, as all these do.
    void acquire() { (void)acquire_until(never); }

    /// The same, for `limit` at most; gives whether it was had in time. Zero or less only tries.
    [[nodiscard]] bool acquire_for(Duration limit) { return acquire_until(deadline_in(limit)); }
    [[nodiscard]] bool acquire_until(Instant deadline) { return acquire_until({}, deadline); }

    /// The same, until a stop is requested at most.
    [[nodiscard]] bool acquire(const std::stop_token& stop) { return acquire_until(stop, never); }
    [[nodiscard]] bool acquire_for(const std::stop_token& stop, Duration limit) {
        return acquire_until(stop, deadline_in(limit));
    }
    [[nodiscard]] bool acquire_until(const std::stop_token& stop, Instant deadline);

    /// Gives back `permits` of this process, and adds the rest (zero: no effect). Throws std::logic_error,
    /// and changes nothing, when that is negative or there would be more, held ones included, than there may
    /// be.
    void release(std::ptrdiff_t permits = 1);

  protected:
    semaphore(std::ptrdiff_t permits, std::ptrdiff_t bound);

  private:
    // A place is taken exactly when its permits are more than none.
    struct holder {
        identity who;
        std::uint32_t permits = 0;
    };
    class Entered;

    bool take();
    holder* find(const identity& who);
    holder& find_room(const identity& who);
    void take_back_from_the_dead();
    void add_available(std::uint32_t permits);
    std::uint32_t held() const;

    mutex lock_;  // guards what follows
    const std::uint32_t bound_;
    std::uint32_t total_;    // all there are, available or held
    FutexWord available_;    // total_ - held(); waiters sleep while it is 0
    bool sleepers_ = false;  // somebody may sleep; true too long after a death
    std::array<holder, most_holders> holders_ = {};
};

/// A semaphore that never has more permits than it began with: what a process gives back it must have taken.
class bounded_semaphore : public semaphore {
  public:
    explicit bounded_semaphore(std::ptrdiff_t permits = 1) : semaphore(permits, permits) {}
};

}  // namespace confab::processes
