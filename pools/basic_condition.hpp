// Public: waiting, with a lock given back meanwhile, for something to change.
#pragma once

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <stdexcept>
#include <stop_token>
#include <utility>

#include "pools/clock.hpp"
#include "pools/futex.hpp"
#include "pools/guard.hpp"
#include "pools/thread_safety.hpp"

namespace confab {

/// A condition of what a lock protects. A notification goes to those that wait at that moment and is not
/// remembered.
///
///     guard held(lock);
///     changed.wait(held, [&] { return !queue.empty(); });
///
/// It keeps no list of who waits, so one that is killed while it waits leaves no trace and takes no
/// notification with it. The price: a wait may end without a notification, when it began just as another was
/// sent. And one that is killed after it was notified, before it could do anything, had the notification:
/// between processes, those who wait with a predicate look at it every `longest_nap`, so that one of them
/// sees to what was to be done. Wait with a predicate.
///
/// Waiting takes a lock that is held (std::unique_lock, guard), and throws std::logic_error for one that is
/// not. However a wait ends, the lock is held again, unless taking it throws: then so does the wait.
/// Notifying needs no lock, but without it, between what changes and the notification, a waiter may look in
/// vain and then sleep: hold it while you change what the predicate reads. Any thread. Requires: all who wait
/// use the same lock; nobody waits when it dies.
template <FutexScope scope>
class basic_condition {
  public:
    static constexpr Duration longest_nap = std::chrono::milliseconds(100);

    basic_condition() = default;
    basic_condition(const basic_condition&) = delete;
    basic_condition& operator=(const basic_condition&) = delete;

    /// Gives the lock back, waits for a notification, and takes the lock again.
    template <held_lock Held>
    void wait(Held& held) {
        (void)wait_once(held, {}, never);
    }

    /// The same, for `limit` at most; gives whether it was notified in time. Zero or less gives false at
    /// once, without giving the lock back.
    template <held_lock Held>
    [[nodiscard]] bool wait_for(Held& held, Duration limit) {
        return wait_once(held, {}, deadline_in(limit));
    }
    template <held_lock Held>
    [[nodiscard]] bool wait_until(Held& held, Instant deadline) {
        return wait_once(held, {}, deadline);
    }

    /// Waits until `predicate()` holds; it is called with the lock held, and first of all at once.
    template <held_lock Held, std::predicate Predicate>
    void wait(Held& held, Predicate predicate) {
        (void)wait_until(held, {}, never, std::move(predicate));
    }

    /// The same, for `limit` at most, over all notifications together; gives the predicate's last value.
    template <held_lock Held, std::predicate Predicate>
    [[nodiscard]] bool wait_for(Held& held, Duration limit, Predicate predicate) {
        return wait_until(held, {}, deadline_in(limit), std::move(predicate));
    }
    template <held_lock Held, std::predicate Predicate>
    [[nodiscard]] bool wait_until(Held& held, Instant deadline, Predicate predicate) {
        return wait_until(held, {}, deadline, std::move(predicate));
    }

    /// The same, until a stop is requested at most.
    template <held_lock Held, std::predicate Predicate>
    [[nodiscard]] bool wait(Held& held, const std::stop_token& stop, Predicate predicate) {
        return wait_until(held, stop, never, std::move(predicate));
    }
    template <held_lock Held, std::predicate Predicate>
    [[nodiscard]] bool wait_for(Held& held, const std::stop_token& stop, Duration limit,
                                Predicate predicate) {
        return wait_until(held, stop, deadline_in(limit), std::move(predicate));
    }
    template <held_lock Held, std::predicate Predicate>
    [[nodiscard]] bool wait_until(Held& held, const std::stop_token& stop, Instant deadline,
                                  Predicate predicate) {
        while (!predicate()) {
            if (stop.stop_requested()) return false;
            const Instant look = next_look(deadline);
            if (!wait_once(held, stop, look) && look == deadline) return predicate();
        }
        return true;
    }

    /// Wakes `count` at most of those that wait, those that have waited longest.
    void notify(std::uint32_t count) noexcept;
    void notify_one() noexcept { notify(1); }
    void notify_all() noexcept { notify(wake_all); }

  private:
    // False exactly when the deadline has passed without a notification.
    template <held_lock Held>
    bool wait_once(Held& held, const std::stop_token& stop, Instant deadline)
        CONFAB_NO_THREAD_SAFETY_ANALYSIS {  // the lock is held before and after: the caller sees no change
        if (!held.owns_lock())
            throw std::logic_error("lock before waiting on a condition, and wait with the lock");
        if (deadline == Instant::min()) return false;
        // From here on a notification is for us, too: it changes the word.
        const std::uint32_t seen = word_.fetch_or(sleepers_bit, std::memory_order_relaxed) | sleepers_bit;
        held.unlock();
        bool notified = false;
        try {
            notified = sleep(seen, stop, deadline);
        } catch (...) {
            held.lock();
            throw;
        }
        held.lock();
        return notified;
    }
    bool sleep(std::uint32_t seen, const std::stop_token& stop, Instant deadline);

    // Threads are not killed without their process.
    static Instant next_look(Instant deadline) {
        if constexpr (scope == FutexScope::threads) return deadline;
        return std::min(deadline, after(Clock::now(), longest_nap));
    }

    static constexpr std::uint32_t sleepers_bit = 1;  // somebody may sleep; true too long after a death
    static constexpr std::uint32_t one_generation = 2;

    // A flag, and above it the number of notifications, which wraps: a waiter would have to fall asleep
    // during exactly 2^31 of them to miss them.
    FutexWord word_ = 0;
};

extern template class basic_condition<FutexScope::threads>;
extern template class basic_condition<FutexScope::processes>;

}  // namespace confab
