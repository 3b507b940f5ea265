// Public: a lock held to the end of a block.
#pragma once

#include <concepts>
#include <source_location>

#include "pools/thread_safety.hpp"

namespace confab {

/// What can be waited with: std::unique_lock, guard, and whatever else knows whether it holds.
template <class Held>
concept held_lock = requires(Held& held) {
    held.lock();
    held.unlock();
    { held.owns_lock() } -> std::convertible_to<bool>;
};

/// Holds a lock of the toolbox from construction to the end of the block, on the way out through an exception
/// too:
///
///     const guard held(tickets);
///
/// What std::lock_guard does, and two things more: clang's thread-safety analysis sees it, and a lock that is
/// watched (pools/threads/lock_order.hpp) learns the line where it was taken. std::scoped_lock for several
/// locks at once and std::unique_lock for trying work, too.
template <class Lock>
class CONFAB_SCOPED_CAPABILITY [[nodiscard]] guard {
  public:
    /// Throws what lock() throws, and holds nothing then.
    explicit guard(Lock& lock, std::source_location where = std::source_location::current())
        CONFAB_ACQUIRE(lock)
        : lock_(lock), where_(where) {
        take();
    }
    ~guard() CONFAB_RELEASE() {
        if (held_) lock_.unlock();
    }
    guard(const guard&) = delete;
    guard& operator=(const guard&) = delete;

    /// Takes the lock again. Requires: given back by unlock() before.
    void lock() CONFAB_ACQUIRE() { take(); }

    /// Gives the lock back before the end of the block. Requires: held.
    void unlock() CONFAB_RELEASE() {
        held_ = false;
        lock_.unlock();
    }

    bool owns_lock() const { return held_; }

  private:
    void take() CONFAB_NO_THREAD_SAFETY_ANALYSIS {  // the callers say what it does
        if constexpr (requires { lock_.lock(where_); }) {
            lock_.lock(where_);
        } else {
            lock_.lock();
        }
        held_ = true;
    }

    Lock& lock_;
    const std::source_location where_;
    bool held_ = false;  // true exactly when this object holds lock_
};

}  // namespace confab
