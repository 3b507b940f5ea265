// Internal to pools: what channels between processes are made of.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "pools/clock.hpp"
#include "pools/futex.hpp"
#include "pools/patience.hpp"
#include "pools/processes/identity.hpp"
#include "pools/processes/mutex.hpp"

namespace confab::processes {

inline constexpr std::size_t cache_line = 64;  // bytes that processors share at once

/// Instant::min() has passed without asking the clock.
inline bool is_late(Instant deadline) {
    return deadline != never && (deadline == Instant::min() || Clock::now() >= deadline);
}

/// Who sleeps, as far as one can know it of processes that may be killed: a number that can be too high,
/// until a wake-up that finds nobody sets it to zero. It is never too low: those who came are numbered, so
/// that who came after that wake-up looked is not taken off by it, nor by the going of those who have been
/// taken off. In shared memory; any thread of any process.
class WaitList {
  public:
    /// To be asked before it is found that there is something to wait for.
    std::uint32_t seen() const { return word_.load(); }

    /// Waits until somebody is woken since `seen`, or `happened()`; or up to the deadline, and longer than
    /// life_check_interval in no case. False: it was as long as one may wait without looking after the dead.
    /// What `happened` looks at must be written before `wake` is called.
    template <class Happened>
    [[nodiscard]] bool wait(std::uint32_t seen, Instant deadline, Happened happened) {
        thread_local Patience patience;  // one for each kind of wait: each has a `Happened` of its own
        if (patience.is_worthwhile()) {
            const bool is_quick =
                Patience::watch([&] { return word_.load(std::memory_order_relaxed) != seen || happened(); });
            patience.learn(is_quick);
            if (is_quick) return true;
        }
        const Asleep mine = change([](Asleep& it) { ++it.number, ++it.came; });
        const Instant check = after(Clock::now(), life_check_interval);
        const bool is_woken =
            happened() || futex_wait(word_, seen, FutexScope::processes, std::min(deadline, check));
        change([mine](Asleep& it) {
            if (is_later(mine.came, it.taken_off)) --it.number;
        });
        return is_woken;
    }

    /// Makes a system call only if somebody sleeps.
    void wake(std::uint32_t count) {
        const Asleep found = asleep_;
        if (found.number == 0) return;
        word_.fetch_add(1);
        if (futex_wake(word_, count, FutexScope::processes) > 0) return;
        Asleep current = found;
        asleep_.compare_exchange_strong(current, {0, found.came, found.came});
    }

  private:
    struct Asleep {
        std::uint64_t number : 16;
        std::uint64_t came : 24;       // the last one who came, numbers going around
        std::uint64_t taken_off : 24;  // the last one who came before the number was set to zero
    };
    static_assert(std::atomic<Asleep>::is_always_lock_free);

    static bool is_later(std::uint64_t one, std::uint64_t other) {
        const std::uint64_t distance = (one - other) & 0xffffff;
        return distance != 0 && distance < 0x800000;
    }

    template <class Change>
    Asleep change(Change change) {
        Asleep before = asleep_;
        Asleep now = before;
        do {
            now = before;
            change(now);
        } while (!asleep_.compare_exchange_weak(before, now));
        return now;
    }

    FutexWord word_ = 0;
    std::atomic<Asleep> asleep_ = Asleep{};
};

/// Holds a lock, having called `recover()` when an owner died with it.
template <class Recover>
class Hold {
  public:
    Hold(mutex& lock, Recover recover) : lock_(lock), recover_(std::move(recover)) {}
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;
    ~Hold() {
        if (is_held_) unlock();
    }

    /// False: not by the deadline. Who only tries waits, too, for those in the middle of a call, but not for
    /// ever: they may have been stopped.
    bool lock(Instant deadline) CONFAB_NO_THREAD_SAFETY_ANALYSIS /* the object is what holds it */ {
        is_held_ = lock_.try_lock() ||
                   lock_.try_lock_until(deadline == Instant::min() ? after(Clock::now(), life_check_interval)
                                                                   : deadline);
        if (is_held_ && lock_.previous_owner_died()) {
            recover_();
            lock_.recovered();
        }
        return is_held_;
    }
    void unlock() CONFAB_NO_THREAD_SAFETY_ANALYSIS {
        is_held_ = false;
        lock_.unlock();
    }

  private:
    mutex& lock_;
    Recover recover_;
    bool is_held_ = false;
};

}  // namespace confab::processes
