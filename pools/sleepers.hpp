// Public, for authors of things to wait on: threads that wait for what a mutex guards to change.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "pools/annotated_mutex.hpp"
#include "pools/clock.hpp"
#include "pools/futex.hpp"
#include "pools/patience.hpp"

namespace confab {

/// What a condition variable is, and three things more. Who wakes does so when the mutex is free again.
/// Nobody is woken, and no system call made, while nobody sleeps, or while those who do have been woken
/// already. And a wait watches a word for some microseconds, giving its processor away now and then, before
/// it sleeps, as long as that pays: two threads that hand values to each other then go at the speed of
/// memory, and on one processor the other side works through a whole queue at once, instead of waking us for
/// each value.
///
///     MutexLock lock(mutex_);                              // the waiting side
///     for (Sleepers::Wait wait(getters_, deadline); values_.empty();)
///         if (!wait.go_on(lock)) return nothing;
///     ...
///     MutexLock lock(mutex_);                              // the waking side
///     values_.push(value);
///     const std::uint32_t claims = getters_.claim(1);
///     lock.unlock();
///     getters_.wake(claims);
///
/// All but `wake` with the mutex held, always the same one.
class Sleepers {
  public:
    class Wait;

    Sleepers() = default;
    Sleepers(const Sleepers&) = delete;
    Sleepers& operator=(const Sleepers&) = delete;

    /// Claims `count` waits at most, of those that no other has claimed, so that they end. Gives how many to
    /// `wake`.
    [[nodiscard]] std::uint32_t claim(std::uint32_t count) {
        // No more claims than waits that are about to end: so a claim is never the reason why one goes on.
        const std::uint32_t watching_before = waiting_ - claimed_;
        const std::uint32_t claims = std::min(count, watching_before);
        if (claims == 0) return 0;
        claimed_ += claims;
        // First the word, then who sleeps; a wait says that it sleeps, then looks at the word. One of us sees
        // the other.
        word_.fetch_add(1);
        return std::min(claims, asleep_.load());
    }
    [[nodiscard]] std::uint32_t claim_all() { return claim(confab::wake_all); }

    /// Wakes those that were claimed. Without the mutex; this object may be gone already.
    void wake(std::uint32_t claims) const noexcept {
        if (claims > 0) futex_wake(word_, claims, FutexScope::threads);
    }

  private:
    FutexWord word_ = 0;                     // changes with each claim
    std::atomic<std::uint32_t> asleep_ = 0;  // waits that sleep or are about to
    std::uint32_t waiting_ = 0;
    std::uint32_t claimed_ = 0;  // of those that wait
    Patience patience_;
};

/// One wait, from when it is found necessary until what was waited for is there, or the deadline has passed.
class Sleepers::Wait {
  public:
    /// Instant::min() never waits, `never` is no limit.
    Wait(Sleepers& sleepers, Instant deadline)
        : sleepers_(sleepers), deadline_(deadline), is_late_(deadline == Instant::min()) {}
    Wait(const Wait&) = delete;
    Wait& operator=(const Wait&) = delete;

    /// Gives the mutex back for a while, and takes it again. False: the deadline had passed when the caller
    /// last looked. True may come without a cause: look, and go on waiting.
    bool go_on(MutexLock& lock) CONFAB_NO_THREAD_SAFETY_ANALYSIS /* the caller holds it, before and after */ {
        if (is_late_) return false;
        ++sleepers_.waiting_;
        const std::uint32_t seen = sleepers_.word_.load();
        const bool watches = sleepers_.patience_.is_worthwhile();
        lock.unlock();
        const FutexWord& word = sleepers_.word_;
        const bool is_quick =
            watches && Patience::watch([&] { return word.load(std::memory_order_relaxed) != seen; });
        if (!is_quick) sleep(seen);
        lock.lock();
        if (watches) sleepers_.patience_.learn(is_quick);
        --sleepers_.waiting_;
        // Whoever was meant: one that waits less is on his way.
        if (sleepers_.claimed_ > 0) --sleepers_.claimed_;
        return true;
    }

  private:
    void sleep(std::uint32_t seen) {
        sleepers_.asleep_.fetch_add(1);
        is_late_ = !futex_wait(sleepers_.word_, seen, FutexScope::threads, deadline_);
        sleepers_.asleep_.fetch_sub(1);
    }

    Sleepers& sleepers_;
    const Instant deadline_;
    bool is_late_;
};

}  // namespace confab
