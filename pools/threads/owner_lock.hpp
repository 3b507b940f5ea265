// Internal to pools: the lock that a mutex and a recursive_mutex between threads are made of.
#pragma once

#include <cstdint>
#include <source_location>

#include "pools/clock.hpp"
#include "pools/futex.hpp"
#include "pools/thread_number.hpp"
#include "pools/threads/lock_order.hpp"

namespace confab::threads {

/// A word that holds the number of the thread that owns the lock, or 0; and a bit for "somebody sleeps". An
/// owner costs nothing here: taking the lock is one compare-and-swap with any value, and giving it back is
/// another that tells in passing whether it was ours to give.
///
/// Who is woken finds the bit gone and cannot know whether others sleep, so who has slept takes the lock with
/// the bit set; a bit too many costs one needless wake-up. Nobody is handed the lock: it is free when it is
/// given back, and a thread that runs gets it before one that has to wake up. That is unfair, and fast.
class owner_lock {
  public:
    constexpr owner_lock() = default;
    explicit constexpr owner_lock(const char* name) : watched_(name) {}

    bool is_ours() const {
        return (word_.load(std::memory_order_relaxed) & ~sleepers) == this_thread_number();
    }
    const char* name() const { return watched_.name; }

    void lock(const std::source_location& where) {
        if (lock_order_is_watched()) [[unlikely]]
            return lock_watched(where);
        if (!take()) lock_contended();
    }

    bool try_lock(const std::source_location& where) {
        if (lock_order_is_watched()) [[unlikely]]
            return try_lock_watched(where);
        return take();
    }

    /// Throws std::system_error when it is ours.
    bool try_lock_until(Instant deadline, const std::source_location& where) {
        return try_lock(where) || (deadline != Instant::min() && lock_late(deadline, where));
    }

    /// Throws std::logic_error, and changes nothing, when it is not ours.
    void unlock() {
        if (watched_.node.load(std::memory_order_relaxed) != nullptr) [[unlikely]]
            watch_unlock();
        std::uint32_t held = this_thread_number();
        if (!word_.compare_exchange_strong(held, 0, std::memory_order_release, std::memory_order_relaxed)) {
            unlock_and_wake(held);
        }
    }

  private:
    static constexpr std::uint32_t sleepers = std::uint32_t{1} << 31;

    bool take() {
        std::uint32_t free = 0;
        return word_.compare_exchange_strong(free, this_thread_number(), std::memory_order_acquire,
                                             std::memory_order_relaxed);
    }
    void lock_contended();
    bool lock_late(Instant deadline, const std::source_location& where);
    bool take_until(Instant deadline);
    void unlock_and_wake(std::uint32_t held);

    void lock_watched(const std::source_location& where);
    bool try_lock_watched(const std::source_location& where);
    void watch_unlock();

    FutexWord word_ = 0;
    detail::watched_lock watched_;
};

}  // namespace confab::threads
