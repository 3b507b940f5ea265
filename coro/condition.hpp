// Public: waiting, with a mutex given back meanwhile, for something to change.
#pragma once

#include <cstddef>
#include <source_location>

#include "coro/mutex.hpp"
#include "coro/task.hpp"
#include "coro/wait_list.hpp"

namespace confab {

/// A condition of what a mutex protects. A notification goes to those that wait at that moment and is not
/// remembered. Reactor's thread only; nobody may wait when it dies.
///
///     mutex::guard held = co_await m.lock();
///     co_await changed.wait(held, [&] { return !queue.empty(); });
class condition {
  public:
    class Wait;

    /// Gives the mutex back, waits for a notification, and takes the mutex again (in order of arrival):
    /// however the wait ends, by task_canceled too, `held` holds it again. Requires: `held` holds a mutex.
    [[nodiscard]] Wait wait(mutex::guard& held, std::source_location where = std::source_location::current());

    /// The same, for `limit` at most; gives whether it was notified in time. Zero or less gives false at
    /// once, without giving the mutex back.
    [[nodiscard]] WaitList::Limited<Wait> wait_for(
        mutex::guard& held, Duration limit, std::source_location where = std::source_location::current());

    /// Waits until `predicate()` holds; it is called with the mutex held, and first of all at once.
    template <class Predicate>
    task<void> wait(mutex::guard& held, Predicate predicate,
                    std::source_location where = std::source_location::current());

    /// The same, for `limit` at most, over all notifications together; gives the predicate's last value.
    template <class Predicate>
    task<bool> wait_for(mutex::guard& held, Duration limit, Predicate predicate,
                        std::source_location where = std::source_location::current());

    /// Wakes the one that has waited longest, if any waits. The mutex need not be held.
    void notify_one() { waiters_.wake_one(); }
    void notify(std::size_t count) {
        while (count > 0 && waiters_.wake_one()) --count;
    }
    void notify_all() { waiters_.wake_all(); }

  private:
    WaitList waiters_;
};

/// Two waits, one after the other: for the notification, then for the mutex. The second cannot be cancelled.
class [[nodiscard]] condition::Wait : public WaitList::Awaiter {
  public:
    Wait(condition& awaited, mutex::guard& held, std::source_location where)
        : Awaiter(awaited.waiters_, kind, false, where), mutex_(*held.mutex_) {
        run = &relock;
    }
    bool await_suspend(std::coroutine_handle<> handle) noexcept {
        if (!Awaiter::await_suspend(handle)) return false;
        mutex_.release();
        return true;
    }
    bool await_resume() const { return succeeded(); }

  private:
    static constexpr WaitKind kind = WaitList::kind("condition");
    static constexpr WaitKind relock_kind{"mutex, after a condition", [](Waiter&) noexcept {}};

    static void relock(Job& job) noexcept {
        auto& self = static_cast<Wait&>(job);
        if (self.mutex_.take()) return self.resume_task();
        self.notified_ = self.woken();
        self.run = &relocked;
        self.enter(self.mutex_.waiters_, relock_kind);
    }
    static void relocked(Job& job) noexcept {
        auto& self = static_cast<Wait&>(job);
        self.woken_ = self.notified_;
        self.resume_task();
    }

    mutex& mutex_;
    bool notified_ = false;
};

inline condition::Wait condition::wait(mutex::guard& held, std::source_location where) {
    return Wait(*this, held, where);
}

inline WaitList::Limited<condition::Wait> condition::wait_for(mutex::guard& held, Duration limit,
                                                              std::source_location where) {
    return WaitList::Limited<Wait>(limit, *this, held, where);
}

template <class Predicate>
task<void> condition::wait(mutex::guard& held, Predicate predicate, std::source_location where) {
    while (!predicate()) co_await wait(held, where);
}

template <class Predicate>
task<bool> condition::wait_for(mutex::guard& held, Duration limit, Predicate predicate,
                               std::source_location where) {
    const Reactor& reactor = TaskContext::current()->reactor();
    const Instant deadline = after(reactor.now(), limit);
    bool holds = predicate();
    while (!holds) {
        const Duration left = deadline == never ? no_limit : deadline - reactor.now();
        const bool notified = co_await wait_for(held, left, where);
        holds = predicate();
        if (!notified) break;
    }
    co_return holds;
}

}  // namespace confab
