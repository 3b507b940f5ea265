// Public: structured concurrency. Tasks are started in a scope, and the scope joins them all.
#pragma once

#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <source_location>
#include <utility>

#include "coro/context.hpp"
#include "coro/task.hpp"
#include "coro/wait_list.hpp"

namespace confab {

/// A task that a scope owns: the least that it takes. `Child` is what spawn makes; others (a server's
/// connection) put more than a result beside their body.
class ScopedTask : public TaskContext, protected Job {
  protected:
    ScopedTask(Reactor& reactor, scope& owner, const char* name, std::source_location origin);

    /// The coroutine to run.
    virtual std::coroutine_handle<> body() noexcept = 0;

    /// The body is at its end, or (`started` false) was never begun, since the task was asked to stop before.
    /// Nothing of it is on the stack. Must see to it that `leave` is called, now or after another body: see
    /// `resume`.
    virtual void settle(bool started) noexcept = 0;

    /// Leaves the scope, which fails with `failure` unless that is null. The scope may be gone afterwards.
    void leave(std::exception_ptr failure) noexcept;

  private:
    friend class scope;

    void finished() noexcept final;

    scope* owner_;
};

/// What a spawned task is to its scope and to those that hold a `child` of it.
class ChildBase : public ScopedTask {
  public:
    enum class State : std::uint8_t {
        running,   ///< or not begun yet
        returned,  ///< the body came to its end
        canceled,  ///< it was asked to stop and left with task_canceled, or before it began
        failed,    ///< it threw something else
    };

    State state() const { return state_; }
    bool over() const { return state_ != State::running; }
    const std::exception_ptr& exception() const { return exception_; }

    /// Asks the task to end with `exception` instead of task_canceled. The first request stands.
    void kill_with(std::exception_ptr exception);
    [[noreturn]] void throw_stop() const override;

    WaitList& joiners() { return joiners_; }

    /// A function that runs once, on the reactor, when the task is over (soon, if it is already). Links run
    /// in the order they were added, all of them even if one throws (what it throws goes to the log of the
    /// last resort, stderr). The number returned takes the link back, even while links are running.
    std::size_t link(std::function<void(ChildBase&)> function);
    void unlink(std::size_t number);

    void retain() { ++references_; }
    void release() noexcept;

  protected:
    ChildBase(Reactor& reactor, scope& owner, const char* name, std::source_location origin);
    ~ChildBase();

    void settle(bool started) noexcept final;
    /// What the body threw, if it threw; takes it out.
    virtual std::exception_ptr take_exception() noexcept = 0;
    virtual void destroy() noexcept = 0;

  private:
    struct Links;

    void conclude(bool started);
    void run_links();

    WaitList joiners_;
    std::unique_ptr<Links> links_;  // most tasks have none
    std::exception_ptr exception_;
    std::exception_ptr killed_with_;
    unsigned references_ = 1;  // the scope's own
    State state_ = State::running;
};

/// A spawned task and room for its result.
template <class T>
class Child final : public ChildBase {
  public:
    Child(Reactor& reactor, scope& owner, task<T> body, const char* name, std::source_location origin)
        : ChildBase(reactor, owner, name, origin), body_(std::move(body)) {}

    Promise<T>& promise() { return body_.handle().promise(); }

  private:
    std::coroutine_handle<> body() noexcept override { return body_.handle(); }
    std::exception_ptr take_exception() noexcept override {
        return std::exchange(promise().exception, nullptr);
    }
    void destroy() noexcept override { block_cache::destroy(this); }

    task<T> body_;
};

/// Thrown by `child::get` for a task that was cancelled: there is no result.
class no_result : public std::exception {
  public:
    const char* what() const noexcept override { return "the task was cancelled and has no result"; }
};

/// A share in a spawned task, to join it, ask for its result, or have it stop. Outlives the task if it likes;
/// the task does not depend on it. Reactor's thread only.
template <class T>
class child {
  public:
    using value_type = T;

    child() = default;
    explicit child(Child<T>& state) : state_(&state) { state.retain(); }
    child(const child& other) : state_(other.state_) {
        if (state_ != nullptr) state_->retain();
    }
    child(child&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
    child& operator=(child other) noexcept {
        std::swap(state_, other.state_);
        return *this;
    }
    ~child() {
        if (state_ != nullptr) state_->release();
    }

    /// True when the task is over, however it ended.
    bool ready() const { return state_->over(); }
    /// True when it is over and did not fail; being cancelled counts as success, as gevent has it.
    bool successful() const { return ready() && !failed(); }
    bool failed() const { return state_->state() == ChildBase::State::failed; }
    bool canceled() const { return state_->state() == ChildBase::State::canceled; }
    /// What it threw; null if it did not fail (yet).
    std::exception_ptr exception() const { return state_->exception(); }

    /// Asks it to end: before its start its body never runs; in a wait, the wait throws task_canceled (or
    /// ends with operation_canceled). Only asks: join it to be sure. Twice, or when it is over: no effect.
    void kill() const { state_->request_stop(StopReason::canceled); }
    /// The same, but waits throw `exception`, and the task then counts as failed with it.
    void kill(std::exception_ptr exception) const { state_->kill_with(std::move(exception)); }

    /// Waits until it is over. Never throws for what the task threw.
    [[nodiscard]] auto join(std::source_location where = std::source_location::current()) const {
        static constexpr WaitKind join_kind = WaitList::kind("join");
        return WaitList::Awaiter(state_->joiners(), join_kind, state_->over(), where);
    }

    /// Waits until it is over; its result, once (it is moved out), or what it threw, or no_result.
    task<T> get() const { return get_from(*this); }

    /// See ChildBase::link.
    std::size_t link(std::function<void(ChildBase&)> function) { return state_->link(std::move(function)); }
    void unlink(std::size_t number) { state_->unlink(number); }

    /// The result, moved out, once. Requires: the task returned.
    T take() { return state_->promise().take(); }

    ChildBase& base() const { return *state_; }
    friend bool operator==(const child&, const child&) = default;

  private:
    static task<T> get_from(child self) {
        co_await self.join();
        if (self.failed()) std::rethrow_exception(self.exception());
        if (self.canceled()) throw no_result();
        co_return self.take();
    }

    Child<T>* state_ = nullptr;
};

/// What a scope does when one of its tasks fails (throws; being cancelled is no failure).
enum class OnFailure : std::uint8_t {
    stop_siblings,  ///< the others are asked to stop, and `join` rethrows the first failure
    ignore,         ///< whoever holds the `child` sees it
};

/// Owns the tasks that are spawned in it. A task never outlives its scope: before the scope dies it must be
/// joined, and destroying one that has tasks left ends the program (there is no waiting in a destructor).
/// `in_scope` joins on every way out.
///
/// When the task that opened the scope is asked to stop, so are the scope's tasks, once that task joins or
/// already waits in the join. Reactor's thread only.
class scope {
  public:
    /// Belongs to the running task, or, outside any task, to the thread (then join it by running the
    /// reactor).
    explicit scope(OnFailure on_failure = OnFailure::stop_siblings);
    /// The same on a reactor that is not running yet.
    explicit scope(Reactor& reactor, OnFailure on_failure = OnFailure::stop_siblings);
    scope(const scope&) = delete;
    scope& operator=(const scope&) = delete;
    ~scope();

    /// Starts `body` as a task of its own. It begins with the next round of the loop, not before the spawner
    /// waits. `name` must be a string that lives for ever (a literal); it is what the task tree prints.
    template <class T>
    child<T> spawn(task<T> body, const char* name = "",
                   std::source_location origin = std::source_location::current()) {
        auto* const state = block_cache::make<Child<T>>(reactor_, *this, std::move(body), name, origin);
        adopt(*state);
        return child<T>(*state);
    }

    /// The same for a task that was made for this scope by other means.
    void adopt(ScopedTask& newcomer);

    /// Asks all of the scope's tasks, present and future, to end.
    void request_stop(StopReason reason = StopReason::canceled);

    /// Waits until no task is left, whatever is asked of the waiting task in the meantime (it then asks the
    /// children). Rethrows the first failure if the scope stops siblings.
    [[nodiscard]] auto join(std::source_location where = std::source_location::current()) {
        return JoinAwaiter(*this, where);
    }

    std::size_t size() const { return size_; }
    Reactor& reactor() const { return reactor_; }

    /// For ordinary code, which cannot join: calls `function` each time the last task has gone.
    void when_empty(std::function<void()> function) { when_empty_ = std::move(function); }

    // For the task tree.
    const TaskContext* first_child() const { return children_; }
    const scope* next_scope() const { return next_; }
    static const scope* first_without_task();

  private:
    friend class ScopedTask;

    class JoinAwaiter : Job, Waiter {
      public:
        JoinAwaiter(scope& joined, std::source_location origin);
        bool await_ready() const noexcept { return false; }
        bool await_suspend(std::coroutine_handle<> handle) noexcept;
        void await_resume() const;

      private:
        friend class scope;
        static void stop_children(Waiter& waiter) noexcept;
        static const WaitKind join_kind;

        scope& scope_;
        TaskContext* context_ = nullptr;
        std::coroutine_handle<> handle_;
    };

    void child_over(ScopedTask& child, std::exception_ptr failure) noexcept;

    Reactor& reactor_;
    TaskContext* const owner_;  // null outside any task
    TaskContext* children_ = nullptr;
    scope* next_ = nullptr;  // other scopes of the same owner
    JoinAwaiter* joiner_ = nullptr;
    std::function<void()> when_empty_;
    std::exception_ptr failure_;
    std::size_t size_ = 0;
    const OnFailure on_failure_;
    StopReason stop_reason_ = StopReason::none;
};

/// Runs `function(scope, arguments...)`, a coroutine, in a new scope and joins that on every way out: when
/// the function throws, or this task is asked to stop, the scope's tasks are asked to stop first. Gives the
/// function's result; throws what it threw, or else the scope's first failure.
template <class Function, class... Arguments>
auto in_scope(Function function, Arguments... arguments)
    -> std::invoke_result_t<Function, scope&, Arguments...> {
    using Result = typename std::invoke_result_t<Function, scope&, Arguments...>::value_type;
    scope inner;
    std::exception_ptr failure;
    std::conditional_t<std::is_void_v<Result>, char, std::optional<Result>> result{};
    try {
        if constexpr (std::is_void_v<Result>) {
            co_await function(inner, std::move(arguments)...);
        } else {
            result.emplace(co_await function(inner, std::move(arguments)...));
        }
    } catch (...) {
        failure = std::current_exception();
        inner.request_stop();
    }
    try {
        co_await inner.join();
    } catch (...) {
        if (!failure) failure = std::current_exception();
    }
    if (failure) std::rethrow_exception(failure);
    if constexpr (!std::is_void_v<Result>) co_return std::move(*result);
}

}  // namespace confab
