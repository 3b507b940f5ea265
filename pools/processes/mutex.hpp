// Public: mutual exclusion of processes, in memory they share.
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstdint>

#include "pools/clock.hpp"
#include "pools/thread_safety.hpp"

namespace confab::processes {

namespace detail {

// A pthread_mutex_t that is robust: the kernel gives it to the next one when its owner dies.
class robust_mutex {
  public:
    enum class Kind { plain, recursive };
    explicit robust_mutex(Kind kind);

    void lock();
    bool try_lock();
    bool try_lock_until(Instant deadline);
    void unlock();

    bool previous_owner_died() const { return abandoned_; }
    void recovered();

    bool is_ours() const;
    std::uint32_t depth() const { return is_ours() ? depth_ : 0; }

  private:
    bool relock();
    bool acquired(int error);

    const Kind kind_;
    pthread_mutex_t mutex_;
    bool abandoned_ = false;                // its owner's: somebody died with it, nobody has said recovered()
    bool unusable_ = false;                 // its owner's: it was unlocked like that
    std::uint32_t depth_ = 0;               // its owner's
    std::atomic<std::uint64_t> owner_ = 0;  // a thread's token, or of one that died
};

}  // namespace detail

/// Held by one thread of one process at a time. It lies in shared memory (shared<T>), made by one process and
/// used by all. Works with guard, std::scoped_lock and std::unique_lock.
///
/// **When its owner dies,** killed or not, even a thread that just ends, the next one gets the lock. It is
/// told by previous_owner_died(): what the lock protects may be half changed. Who has put that right says
/// recovered(). Who unlocks without having said so, because it cannot be put right or because he never asked,
/// makes the lock unusable for ever: from then on lock() throws for everybody, and nobody goes on with broken
/// data.
///
///     const guard held(account->lock);
///     if (account->lock.previous_owner_died()) {
///         account->repair();
///         account->lock.recovered();
///     }
///
/// Any thread of any process. Its memory must stay mapped while this process holds it. It is never destroyed.
class CONFAB_CAPABILITY("mutex") mutex {
  public:
    /// Throws std::system_error.
    mutex() : mutex_(detail::robust_mutex::Kind::plain) {}
    mutex(const mutex&) = delete;
    mutex& operator=(const mutex&) = delete;

    /// Waits until it is free, and holds it. Throws std::system_error: resource_deadlock_would_occur when
    /// this thread holds it already, state_not_recoverable when it is unusable (see above).
    void lock() CONFAB_ACQUIRE() { mutex_.lock(); }

    /// Holds it and gives true, or gives false at once when it is held, by this thread too. Throws
    /// std::system_error (state_not_recoverable).
    [[nodiscard]] bool try_lock() CONFAB_TRY_ACQUIRE(true) { return mutex_.try_lock(); }

    /// The same, but waits until it is free, for `limit` at most. Zero or less only tries. Throws what lock()
    /// does.
    [[nodiscard]] bool try_lock_for(Duration limit) CONFAB_TRY_ACQUIRE(true) {
        return mutex_.try_lock_until(deadline_in(limit));
    }
    [[nodiscard]] bool try_lock_until(Instant deadline) CONFAB_TRY_ACQUIRE(true) {
        return mutex_.try_lock_until(deadline);
    }

    /// Gives it back. Throws std::logic_error, and changes nothing, when this thread does not hold it.
    void unlock() CONFAB_RELEASE() { mutex_.unlock(); }

    /// Whether somebody died with the lock, and nobody has said recovered() since. Requires: held.
    bool previous_owner_died() const { return mutex_.previous_owner_died(); }
    /// What the lock protects is in order. Requires: held. Throws std::logic_error when nobody had died.
    void recovered() { mutex_.recovered(); }

    bool held_by_this_thread() const { return mutex_.is_ours(); }

  private:
    detail::robust_mutex mutex_;
};

/// The same, and the thread that holds it may lock it again; it is free after as many unlocks. Clang's
/// thread-safety analysis knows no such locks, and does not see it.
class recursive_mutex {
  public:
    recursive_mutex() : mutex_(detail::robust_mutex::Kind::recursive) {}
    recursive_mutex(const recursive_mutex&) = delete;
    recursive_mutex& operator=(const recursive_mutex&) = delete;

    void lock() { mutex_.lock(); }
    [[nodiscard]] bool try_lock() { return mutex_.try_lock(); }
    [[nodiscard]] bool try_lock_for(Duration limit) { return mutex_.try_lock_until(deadline_in(limit)); }
    [[nodiscard]] bool try_lock_until(Instant deadline) { return mutex_.try_lock_until(deadline); }
    void unlock() { mutex_.unlock(); }

    bool previous_owner_died() const { return mutex_.previous_owner_died(); }
    void recovered() { mutex_.recovered(); }

    bool held_by_this_thread() const { return mutex_.is_ours(); }
    /// How often this thread holds it; 0 when it does not.
    std::uint32_t depth() const { return mutex_.depth(); }

  private:
    detail::robust_mutex mutex_;
};

}  // namespace confab::processes
