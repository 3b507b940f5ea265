// Public, for authors of awaitables: tasks that wait for one another, in order of arrival.
#pragma once

#include <coroutine>
#include <source_location>

#include "coro/context.hpp"
#include "reactor/job.hpp"

namespace confab {

/// A first-in-first-out list of suspended tasks. Owns nothing; must be empty when it dies. Reactor's thread
/// only.
///
/// A waiter is in the list until it is woken or cancelled, whichever comes first; the other then has no
/// effect. So what was granted with a wake (a lock, an item, a permit) is never lost to a cancellation that
/// comes a moment later: the wait succeeds, and the task's next wait throws.
class WaitList {
  public:
    class Awaiter;

    WaitList() = default;
    WaitList(const WaitList&) = delete;
    WaitList& operator=(const WaitList&) = delete;
    ~WaitList();

    bool empty() const { return first_ == nullptr; }
    /// The one that has waited longest; nullptr when there is none.
    Awaiter* first() const { return first_; }

    /// Wakes the one that has waited longest: it is made ready, and runs with the next round of the loop.
    /// False when there is none.
    bool wake_one();
    /// Wakes all that wait now.
    void wake_all();

    /// The kind of a wait in a list; `name` is a literal.
    static constexpr WaitKind kind(const char* name) { return {.name = name, .cancel = &cancel_wait}; }

  private:
    static void cancel_wait(Waiter& waiter) noexcept;

    Awaiter* first_ = nullptr;
    Awaiter* last_ = nullptr;
};

/// Waits in a WaitList: the base of every wait that is not an operation. Lives in the task's frame. When the
/// task was asked to stop and the awaiter was neither `ready` nor woken first, `await_resume` throws
/// (TaskContext::throw_stop).
class WaitList::Awaiter : protected Job, protected Waiter {
  public:
    /// `kind_of_wait` lives for ever. `ready`: there is nothing to wait for.
    Awaiter(WaitList& list, const WaitKind& kind_of_wait, bool ready, std::source_location origin);
    Awaiter(const Awaiter&) = delete;
    Awaiter& operator=(const Awaiter&) = delete;

    bool await_ready() const noexcept { return woken_; }
    bool await_suspend(std::coroutine_handle<> handle) noexcept;
    void await_resume() const {
        if (!woken_) context_->throw_stop();
    }

    /// True when there was nothing to wait for or it was woken; false when it was cancelled or still waits.
    bool woken() const { return woken_; }

    /// Wakes just this one, out of turn. Requires: it waits.
    void wake();

  private:
    friend class WaitList;
    void leave_and_resume();

    WaitList& list_;
    Awaiter* next_waiter_ = nullptr;
    Awaiter* previous_waiter_ = nullptr;
    TaskContext* context_ = nullptr;
    std::coroutine_handle<> handle_;
    bool woken_;
};

}  // namespace confab
