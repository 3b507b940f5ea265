// Public: what a running task is to the things it waits on. Users of tasks need only `stop_requested`, and
// `task_canceled`; authors of awaitables need the rest. See docs/lifetimes.md.
#pragma once

#include <coroutine>
#include <cstdint>
#include <exception>
#include <memory>
#include <source_location>
#include <stop_token>

#include "reactor/reactor.hpp"

namespace confab {

class scope;
class TaskContext;

/// "No time limit."
inline constexpr Duration no_limit = Duration::max();

/// Why a task was asked to end.
enum class StopReason : std::uint8_t {
    none,
    canceled,
    timed_out,
    moved,  ///< what the task serves is to go on elsewhere; who does not know how ends as if canceled
};

/// Thrown by waits that have no result to put an error in (sleep, event, mutex, channel, ...) once the
/// waiting task was asked to end. Input and output return std::errc::operation_canceled or timed_out instead.
class task_canceled : public std::exception {
  public:
    explicit task_canceled(StopReason reason) : reason_(reason) {}
    StopReason reason() const { return reason_; }
    const char* what() const noexcept override {
        return reason_ == StopReason::timed_out ? "the task ran out of time" : "the task was cancelled";
    }

  private:
    StopReason reason_;
};

struct Waiter;

/// What all waits of a kind share.
struct WaitKind {
    const char* name;  ///< as the task tree prints it: "receive", "sleep", "join"
    /// Asks the wait to end soon. It still resumes its task through the reactor, once.
    void (*cancel)(Waiter&) noexcept;
};

/// What a suspended task waits in. It lives in the awaiter, so in the task's frame.
struct Waiter {
    const WaitKind* wait_kind;
    std::source_location where;  ///< of the await
};

/// One strand of execution: a spawned task (ScopedTask) together with whatever it awaits, one after the
/// other. So at most one Waiter at a time belongs to it, and to cancel it is to cancel that and to remember.
///
/// Reactor's thread only. Lives until its task is over.
class TaskContext {
  public:
    TaskContext(const TaskContext&) = delete;
    TaskContext& operator=(const TaskContext&) = delete;

    /// The one that is running on this thread; nullptr outside any task.
    static TaskContext* current() { return current_; }

    Reactor& reactor() const { return reactor_; }

    /// True from the first request on: it stays set, and every later wait of this task ends at once. (Under a
    /// shield it reads false.)
    bool stop_requested() const { return stop_reason_ != StopReason::none && shields_ == 0; }
    StopReason stop_reason() const { return stop_reason_; }

    /// Asks the task to end: its present wait and all later ones end with "cancelled". The first reason
    /// stands. When the task is ready to run because its wait is over, that wait has its result, and the next
    /// one ends.
    void request_stop(StopReason reason);
    /// The same, and the waits throw `exception` instead of task_canceled.
    void request_stop_with(std::exception_ptr exception);

    /// A token that is triggered with the request, for code that knows std::stop_token: threads, blocking
    /// calls.
    std::stop_token stop_token();

    /// Throws what a wait without a result throws once stop was requested: task_canceled, or what
    /// request_stop_with named.
    [[noreturn]] void throw_stop() const;

    // For awaitables.

    /// The task is being suspended in `waiter`. Requires: !stop_requested(); the awaiter has looked.
    void suspend_in(Waiter& waiter) { waiter_ = &waiter; }
    /// Runs the task on. Called from a job of the reactor; the context may be gone afterwards.
    void resume(std::coroutine_handle<> handle) noexcept;
    /// The outermost coroutine is at its end; called from its final suspend. What follows happens when
    /// nothing of it is on the stack any more.
    void set_over() noexcept { over_ = true; }

    // For the task tree.

    const char* name() const { return name_; }
    const std::source_location& origin() const { return origin_; }
    const Waiter* waiter() const { return waiter_; }
    const scope* first_scope() const { return first_scope_; }
    const TaskContext* next_sibling() const { return next_; }

  protected:
    TaskContext(Reactor& reactor, const char* name, std::source_location origin);
    ~TaskContext();

    /// What request_stop_with named; null in all other cases.
    std::exception_ptr stop_exception() const;

  private:
    friend class scope;
    friend class shield;

    // What few tasks have.
    struct Rare {
        std::stop_source stop_source{std::nostopstate};
        std::exception_ptr stop_exception;
    };
    Rare& rare();

    static constinit thread_local TaskContext* current_;

    Reactor& reactor_;
    Waiter* waiter_ = nullptr;  // where it is suspended; null exactly when running, ready to start, or over
    scope* first_scope_ = nullptr;
    TaskContext* next_ = nullptr;  // siblings in the scope
    TaskContext* previous_ = nullptr;
    const char* name_;
    std::source_location origin_;  // of the spawn
    std::unique_ptr<Rare> rare_;
    StopReason stop_reason_ = StopReason::none;
    std::uint8_t shields_ = 0;
    bool over_ = false;
};

/// While it lives, the running task is not disturbed: a request to stop is remembered, and takes effect when
/// the last shield has gone. For the waits of a clean-up, each of which then needs a limit of its own.
class shield {
  public:
    shield() : context_(*TaskContext::current()) { ++context_.shields_; }
    shield(const shield&) = delete;
    shield& operator=(const shield&) = delete;
    ~shield() { --context_.shields_; }

  private:
    TaskContext& context_;
};

}  // namespace confab
