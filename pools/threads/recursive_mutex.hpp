// Public: mutual exclusion of threads, for who may come back to it.
#pragma once

#include <cstdint>
#include <source_location>

#include "pools/clock.hpp"
#include "pools/threads/owner_lock.hpp"

namespace confab::threads {

/// A mutex that the thread which holds it may lock again; it is free after as many unlocks. All else is as
/// with mutex. Against deadlocks of several locks it does not help.
/// Clang's thread-safety analysis knows no such locks, and does not see it.
class recursive_mutex {
  public:
    constexpr recursive_mutex() = default;
    /// With a name for reports of deadlocks. It is not copied: a literal, or what lives as long.
    explicit constexpr recursive_mutex(const char* name) : lock_(name) {}
    recursive_mutex(const recursive_mutex&) = delete;
    recursive_mutex& operator=(const recursive_mutex&) = delete;

    /// Waits until no other thread holds it, and holds it once more. Throws std::system_error
    /// (resource_deadlock_would_occur) when, while lock order is watched, threads would wait for each other
    /// in a circle.
    void lock(const std::source_location& where = std::source_location::current()) {
        if (!lock_.is_ours()) lock_.lock(where);
        ++depth_;
    }

    /// Holds it once more and gives true, or gives false at once when another thread holds it.
    [[nodiscard]] bool try_lock(const std::source_location& where = std::source_location::current()) {
        return try_lock_until(Instant::min(), where);
    }

    /// The same, but waits until no other does, for `limit` at most. Zero or less only tries.
    [[nodiscard]] bool try_lock_for(Duration limit,
                                    const std::source_location& where = std::source_location::current()) {
        return try_lock_until(deadline_in(limit), where);
    }
    [[nodiscard]] bool try_lock_until(Instant deadline,
                                      const std::source_location& where = std::source_location::current()) {
        if (!lock_.is_ours() && !lock_.try_lock_until(deadline, where)) return false;
        ++depth_;
        return true;
    }

    /// Takes back one lock(). Throws std::logic_error, and changes nothing, when this thread does not hold
    /// it.
    void unlock() {
        if (lock_.is_ours() && --depth_ > 0) return;
        lock_.unlock();
    }

    bool held_by_this_thread() const { return lock_.is_ours(); }
    /// How often this thread holds it; 0 when it does not.
    std::uint32_t depth() const { return lock_.is_ours() ? depth_ : 0; }
    /// Null when it has none.
    const char* name() const { return lock_.name(); }

  private:
    owner_lock lock_;
    std::uint32_t depth_ = 0;  // its owner's
};

}  // namespace confab::threads
