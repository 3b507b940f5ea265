// Public: mutual exclusion of threads, with time limits.
#pragma once

#include <source_location>

#include "pools/clock.hpp"
#include "pools/thread_safety.hpp"
#include "pools/threads/owner_lock.hpp"

namespace confab::threads {

/// Held by one thread at a time, the one that locked it. For threads of one process: it must not lie in
/// memory that is shared with another, and a forked child finds those locked that were. Works with guard,
/// std::scoped_lock and std::unique_lock. 24 bytes, as quick as std::mutex, and as unfair: a thread that runs
/// may get it before one that has waited.
///
///     threads::mutex tickets("tickets");
///     const guard held(tickets);
///
/// Nothing stops a lock(): a mutex is held briefly, and who may have to give up sets a limit. Requires: free
/// when it dies.
class CONFAB_CAPABILITY("mutex") mutex {
  public:
    constexpr mutex() = default;
    /// With a name for reports of deadlocks. It is not copied: a literal, or what lives as long.
    explicit constexpr mutex(const char* name) : lock_(name) {}
    mutex(const mutex&) = delete;
    mutex& operator=(const mutex&) = delete;

    /// Waits until it is free, and holds it. Throws std::system_error (resource_deadlock_would_occur) when
    /// this thread holds it already, and, while lock order is watched (pools/threads/lock_order.hpp), when
    /// threads would wait for each other in a circle.
    void lock(const std::source_location& where = std::source_location::current()) CONFAB_ACQUIRE() {
        lock_.lock(where);
    }

    /// Holds it and gives true, or gives false at once when it is held, by this thread too.
    [[nodiscard]] bool try_lock(const std::source_location& where = std::source_location::current())
        CONFAB_TRY_ACQUIRE(true) {
        return lock_.try_lock(where);
    }

    /// The same, but waits until it is free, for `limit` at most. Zero or less only tries. Throws
    /// std::system_error instead of waiting when this thread holds it already.
    [[nodiscard]] bool try_lock_for(Duration limit,
                                    const std::source_location& where = std::source_location::current())
        CONFAB_TRY_ACQUIRE(true) {
        return lock_.try_lock_until(deadline_in(limit), where);
    }
    [[nodiscard]] bool try_lock_until(Instant deadline,
                                      const std::source_location& where = std::source_location::current())
        CONFAB_TRY_ACQUIRE(true) {
        return lock_.try_lock_until(deadline, where);
    }

    /// Gives it back. Throws std::logic_error, and changes nothing, when this thread does not hold it; where
    /// that happens in a destructor, it ends the program.
    void unlock() CONFAB_RELEASE() { lock_.unlock(); }

    bool held_by_this_thread() const { return lock_.is_ours(); }
    /// Null when it has none.
    const char* name() const { return lock_.name(); }

  private:
    owner_lock lock_;
};

}  // namespace confab::threads
