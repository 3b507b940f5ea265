// Public: for authors of awaitables, tasks that wait for one another, in order of arrival.
#pragma once

#include <coroutine>
#include <source_location>
#include <type_traits>
#include <utility>

#include "coro/context.hpp"
#include "reactor/job.hpp"
#include "reactor/operation.hpp"

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
    template <class Wait>
    class Limited;

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

    Awaiter* first_ = nullptr;  // of a ring
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
    void await_resume() const { succeeded(); }

    /// True when there was nothing to wait for or it was woken; false when it was cancelled or still waits.
    bool woken() const { return woken_; }

    /// Wakes just this one, out of turn. Requires: it waits.
    void wake();

  protected:
    /// Whether the running task may not wait (or take anything) any more.
    static bool must_stop() { return TaskContext::current()->stop_requested(); }
    /// Nothing to wait for after all: for await_ready of derived awaiters. Gives true.
    bool grant() { return woken_ = true; }
    /// True when woken, false when the time limit passed; throws when the task was asked to stop.
    bool succeeded() const {
        if (!woken_ && !expired_) context_->throw_stop();
        return woken_;
    }
    /// Waits on in another list, as a wait of another kind. Requires: it waits in none.
    void enter(WaitList& list, const WaitKind& kind_of_wait);
    /// The task goes on; for a job that does something else first.
    void resume_task() noexcept { context_->resume(handle_); }

    bool woken_;

  private:
    friend class WaitList;
    bool waits() const { return previous_waiter_ != nullptr; }
    void leave_and_resume();

    WaitList* list_;
    Awaiter* next_waiter_ = nullptr;
    Awaiter* previous_waiter_ = nullptr;  // null exactly when in no list
    TaskContext* context_ = nullptr;
    std::coroutine_handle<> handle_;
    bool expired_ = false;
};

/// Any `Wait` (an Awaiter) with a time limit. Zero or less polls: it never suspends, and an infinite one is
/// `no_limit`. When the limit has passed, `await_resume` gives false, or what Wait gives when `succeeded()`
/// is false.
template <class Wait>
class WaitList::Limited final : public Wait, Operation {
  public:
    template <class... Arguments>
    explicit Limited(Duration limit, Arguments&&... arguments)
        : Wait(std::forward<Arguments>(arguments)...), Operation(Kind::sleep, -1, &expire), limit_(limit) {}

    bool await_suspend(std::coroutine_handle<> handle) noexcept {
        if (limit_ <= Duration::zero() && !Wait::must_stop()) {
            Wait::expired_ = true;
            return false;
        }
        if (!Wait::await_suspend(handle)) return false;
        if (limit_ == no_limit) return true;
        deadline = after(Wait::context_->reactor().now(), limit_);
        Wait::context_->reactor().submit(*this);
        return true;
    }
    auto await_resume() {
        if (deadline != never) Wait::context_->reactor().withdraw(*this);
        if constexpr (std::is_void_v<decltype(Wait::await_resume())>) {
            return Wait::succeeded();
        } else {
            return Wait::await_resume();
        }
    }

  private:
    static void expire(Operation& operation) noexcept {
        auto& self = static_cast<Limited&>(operation);
        if (!self.waits()) return;
        self.expired_ = true;
        self.leave_and_resume();
    }

    Duration limit_;
};

}  // namespace confab
