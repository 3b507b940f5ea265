// Public: a spawned task, and shares in it. Lifetimes: docs/lifetimes.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <source_location>
#include <utility>

#include "coro/context.hpp"
#include "coro/task.hpp"
#include "coro/wait_list.hpp"

namespace confab {

class ChildBase;

/// Something that is to happen when a task is over. Intrusive: it stays where it is until it was taken out or
/// has run; running takes it out first, and may destroy it.
struct ChildLink {
    using Run = void (*)(ChildLink&) noexcept;
    explicit ChildLink(Run function) : run(function) {}

    ChildLink* next = nullptr;
    ChildLink* previous = nullptr;  // null exactly when in no list
    Run run;
};

/// A task that a scope owns: the least that it takes. `spawn` makes a ChildBase; others (a server's
/// connection) put more beside their body.
class ScopedTask : protected Job, public TaskContext {
  public:
    enum class State : std::uint8_t {
        running,   ///< or not begun yet
        returned,  ///< the body came to its end
        canceled,  ///< it was asked to stop and left with task_canceled, or before it began
        failed,    ///< it threw something else
    };

    const scope& owner_scope() const { return *owner_; }

  protected:
    ScopedTask(Reactor& reactor, scope& owner, const char* name, std::source_location origin);
    ~ScopedTask() = default;

    /// The coroutine to run.
    virtual std::coroutine_handle<> body() noexcept = 0;

    /// The body is at its end, or (`started` false) was never begun, since the task was asked to stop before.
    /// Nothing of it is on the stack. Must see to it that `leave` is called, now or after another body: see
    /// `resume`.
    virtual void settle(bool started) noexcept = 0;

    /// Leaves the scope, which fails with `failure` unless that is null. The scope may be gone afterwards.
    void leave(std::exception_ptr failure) noexcept;

    // For those derived. They fill a gap here, and would take another word there.
    State state_ = State::running;
    std::uint32_t references_ = 1;  // the scope's own

  private:
    friend class scope;
    friend class TaskContext;

    scope* owner_;
};

/// What a spawned task is to its scope and to those that hold a `child` of it. One block of 128 bytes.
class ChildBase final : public ScopedTask {
  public:
    State state() const { return state_; }
    bool over() const { return state_ != State::running; }
    /// What it threw; null if it did not fail (yet).
    std::exception_ptr exception() const;

    WaitList& joiners() { return joiners_; }

    // Links run once, from the reactor, in the order they were added.

    /// Requires: not over, or whoever adds it sees to its running.
    void add(ChildLink& link);
    /// Without effect on one that has run or was never added.
    void remove(ChildLink& link);
    /// See any_child::link.
    std::size_t link(std::function<void(ChildBase&)> function);
    void unlink(std::size_t number);

    void retain() { ++references_; }
    void release() noexcept {
        if (--references_ == 0) destroy();
    }

  private:
    friend class scope;
    template <class T>
    friend class child;
    struct FunctionLink;

    ChildBase(scope& owner, std::coroutine_handle<> body, const char* name, std::source_location origin);
    ~ChildBase();

    std::coroutine_handle<> body() noexcept override { return body_; }
    void settle(bool started) noexcept override;
    State conclusion(bool started) noexcept;
    void run_links() noexcept;
    void destroy() noexcept;

    std::coroutine_handle<> body_;
    WaitList joiners_;
    ChildLink* first_link_ = nullptr;  // of a ring
};

/// Thrown by `child::get` for a task that was cancelled: there is no result.
class no_result : public std::exception {
  public:
    const char* what() const noexcept override { return "the task was cancelled and has no result"; }
};

/// A share in a spawned task of whatever result, to join it or have it stop. Outlives the task if it likes;
/// the task does not depend on it. Copies are shares in the same task. Reactor's thread only.
class any_child {
  public:
    any_child() = default;
    explicit any_child(ChildBase& state) : state_(&state) { state.retain(); }
    any_child(const any_child& other) : state_(other.state_) {
        if (state_ != nullptr) state_->retain();
    }
    any_child(any_child&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
    any_child& operator=(any_child other) noexcept {
        std::swap(state_, other.state_);
        return *this;
    }
    ~any_child() {
        if (state_ != nullptr) state_->release();
    }

    /// True when it is a share in a task: not made by default nor moved from.
    explicit operator bool() const { return state_ != nullptr; }

    /// True when the task is over, however it ended.
    bool ready() const { return state_->over(); }
    /// True when it is over and did not fail; being cancelled counts as success, as gevent has it.
    bool successful() const { return ready() && !failed(); }
    bool failed() const { return state_->state() == ScopedTask::State::failed; }
    bool canceled() const { return state_->state() == ScopedTask::State::canceled; }
    /// What it threw; null if it did not fail (yet).
    std::exception_ptr exception() const { return state_->exception(); }

    /// Asks it to end: before its start its body never runs; in a wait, the wait throws task_canceled (or
    /// ends with operation_canceled). Only asks: join it to be sure. Twice, or when it is over: no effect.
    void kill() const { state_->request_stop(StopReason::canceled); }
    /// The same, but waits throw `exception`, and the task then counts as failed with it.
    void kill(std::exception_ptr exception) const { state_->request_stop_with(std::move(exception)); }

    /// Waits until it is over. Never throws for what the task threw.
    [[nodiscard]] auto join(std::source_location where = std::source_location::current()) const {
        return WaitList::Awaiter(state_->joiners(), join_kind, state_->over(), where);
    }
    /// The same, for `limit` at most; gives whether it is over. Zero or less only looks.
    [[nodiscard]] auto join_for(Duration limit,
                                std::source_location where = std::source_location::current()) const {
        return WaitList::Limited<WaitList::Awaiter>(limit, state_->joiners(), join_kind, state_->over(),
                                                    where);
    }

    /// A function that runs once, on the reactor, when the task is over (soon, if it is already). Links run
    /// in the order they were added, all of them even if one throws (what it throws goes to the log of the
    /// last resort, stderr). The number returned takes the link back, even while links are running.
    std::size_t link(std::function<void(ChildBase&)> function) const {
        return state_->link(std::move(function));
    }
    void unlink(std::size_t number) const { state_->unlink(number); }

    ChildBase& base() const { return *state_; }
    friend bool operator==(const any_child&, const any_child&) = default;

  protected:
    static constexpr WaitKind join_kind = WaitList::kind("join");

  private:
    ChildBase* state_ = nullptr;
};

/// A share in a spawned task with its result.
template <class T>
class child : public any_child {
    static_assert(alignof(Promise<T>) <= 2 * sizeof(void*), "the promise must lie where all promises lie");

  public:
    using value_type = T;

    child() = default;
    explicit child(ChildBase& state) : any_child(state) {}

    class Get;

    /// Waits until it is over; its result, once (it is moved out), or what it threw, or no_result. (What a
    /// task threw is thrown each time.) Throws task_canceled.
    [[nodiscard]] Get get(std::source_location where = std::source_location::current()) const {
        return Get(*this, where);
    }

    /// The result, moved out, once. Requires: the task returned.
    T take() const {
        return std::coroutine_handle<Promise<T>>::from_address(base().body_.address()).promise().take();
    }
};

/// Has a share in what it waits for, so it needs no `child` to live on.
template <class T>
class [[nodiscard]] child<T>::Get : public WaitList::Awaiter {
  public:
    Get(const child& awaited, std::source_location where)
        : Awaiter(awaited.base().joiners(), join_kind, awaited.ready(), where), child_(awaited) {}
    T await_resume() const {
        succeeded();
        if (child_.failed()) std::rethrow_exception(child_.exception());
        if (child_.canceled()) throw no_result();
        return child_.take();
    }

  private:
    const child child_;
};

}  // namespace confab
