// Public: mutual exclusion of tasks across their waits.
#pragma once

#include <cassert>
#include <source_location>
#include <utility>

#include "coro/wait_list.hpp"

namespace confab {

/// Held by one guard at a time. Tasks of a reactor never run at the same moment, so it is needed only where a
/// task must not be overtaken while it waits for something else. It goes from hand to hand in order of
/// arrival: an unlock gives it to the one that has waited longest, and nobody can snatch it in between. Not
/// recursive: a task that locks it twice is a deadlock. Reactor's thread only; must be free when it dies.
class mutex {
  public:
    class guard;
    class Lock;

    mutex() = default;
    mutex(const mutex&) = delete;
    mutex& operator=(const mutex&) = delete;
    ~mutex() { assert(!locked_ && "a guard outlives its mutex"); }

    bool is_locked() const { return locked_; }

    /// `guard held = co_await m.lock()`: waits until it is free and holds it. Throws task_canceled.
    [[nodiscard]] Lock lock(std::source_location where = std::source_location::current());

    /// The same, for `limit` at most; the guard is empty when it was not free in time. Zero or less only
    /// tries.
    [[nodiscard]] WaitList::Limited<Lock> lock_for(
        Duration limit, std::source_location where = std::source_location::current());

    /// Holds it if it is free; else the guard is empty. Never waits, so a task that was asked to stop may
    /// try, too.
    [[nodiscard]] guard try_lock();

  private:
    friend class condition;

    bool take() { return !std::exchange(locked_, true); }
    void release() { locked_ = waiters_.wake_one(); }

    WaitList waiters_;
    bool locked_ = false;
};

/// Holds a mutex until it dies, or holds none.
class [[nodiscard]] mutex::guard {
  public:
    guard() = default;
    guard(guard&& other) noexcept : mutex_(std::exchange(other.mutex_, nullptr)) {}
    guard& operator=(guard other) noexcept {
        std::swap(mutex_, other.mutex_);
        return *this;
    }
    ~guard() { unlock(); }

    /// True when it holds a mutex.
    explicit operator bool() const { return mutex_ != nullptr; }

    /// Gives the mutex on now. Without effect on an empty guard.
    void unlock() {
        if (mutex_ != nullptr) std::exchange(mutex_, nullptr)->release();
    }

  private:
    friend class mutex;
    friend class condition;
    explicit guard(mutex* held) : mutex_(held) {}

    mutex* mutex_ = nullptr;
};

class [[nodiscard]] mutex::Lock : public WaitList::Awaiter {
  public:
    Lock(mutex& wanted, std::source_location where)
        : Awaiter(wanted.waiters_, kind, false, where), mutex_(wanted) {}
    bool await_ready() noexcept { return !must_stop() && mutex_.take() && grant(); }
    guard await_resume() const { return guard(succeeded() ? &mutex_ : nullptr); }

  private:
    static constexpr WaitKind kind = WaitList::kind("mutex");
    mutex& mutex_;
};

inline mutex::Lock mutex::lock(std::source_location where) { return Lock(*this, where); }

inline WaitList::Limited<mutex::Lock> mutex::lock_for(Duration limit, std::source_location where) {
    return WaitList::Limited<Lock>(limit, *this, where);
}

inline mutex::guard mutex::try_lock() { return guard(take() ? this : nullptr); }

}  // namespace confab
