// Public: structured concurrency. Tasks are started in a scope, and the scope joins them all. Lifetimes:
// docs/lifetimes.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <source_location>
#include <utility>

#include "coro/child.hpp"
#include "coro/context.hpp"
#include "coro/task.hpp"
#include "reactor/block_cache.hpp"

namespace confab {

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
        return child<T>(start(std::move(body).release(), name, origin));
    }

    /// The same for a task that was made for this scope by other means.
    void adopt(ScopedTask& newcomer);

    /// Asks all of the scope's tasks, present and future, to end. The first reason stands; false: there was
    /// one before.
    bool request_stop(StopReason reason = StopReason::canceled);
    bool stop_requested() const { return stop_reason_ != StopReason::none; }

    /// Waits until no task is left, whatever is asked of the waiting task in the meantime (it then asks the
    /// children). Rethrows the first failure if the scope stops siblings. One task at a time joins.
    [[nodiscard]] auto join(std::source_location where = std::source_location::current()) {
        return JoinAwaiter(*this, where);
    }

    std::size_t size() const { return size_; }
    Reactor& reactor() const { return reactor_; }
    /// The task that opened it; null outside any task.
    const TaskContext* owner() const { return owner_; }

    /// For who follows the comings and goings: `gone` is called, from the reactor, each time a task has gone.
    struct Watcher {
        void (*gone)(Watcher&) noexcept;
    };
    /// Null: nobody. The watcher outlives the scope or is taken back.
    void watch(Watcher* watcher) { watcher_ = watcher; }

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
        static void join_or_wait_on(Job& job) noexcept;
        static void stop_children(Waiter& waiter) noexcept;
        static const WaitKind join_kind;

        scope& scope_;
        TaskContext* context_ = nullptr;
        std::coroutine_handle<> handle_;
    };

    ChildBase& start(std::coroutine_handle<> body, const char* name, std::source_location origin);
    void child_over(ScopedTask& child, std::exception_ptr failure) noexcept;

    Reactor& reactor_;
    TaskContext* const owner_;  // null outside any task
    TaskContext* children_ = nullptr;
    scope* next_ = nullptr;  // other scopes of the same owner
    JoinAwaiter* joiner_ = nullptr;
    Watcher* watcher_ = nullptr;
    std::exception_ptr failure_;
    std::size_t size_ = 0;
    const OnFailure on_failure_;
    StopReason stop_reason_ = StopReason::none;
};

/// Runs `function(scope, arguments...)`, a coroutine, as the first task of a new scope, and joins that: it
/// ends when the function and all that was spawned in the scope have ended. When one of them fails the others
/// are asked to stop, the function like the rest, and that first failure is thrown. Gives the function's
/// result; throws task_canceled, or no_result when the scope was asked to stop from within and the function
/// left for that.
template <class Function, class... Arguments>
auto in_scope(Function function, Arguments... arguments)
    -> std::invoke_result_t<Function, scope&, Arguments...> {
    using Result = typename std::invoke_result_t<Function, scope&, Arguments...>::value_type;
    scope inner;
    const child<Result> body = inner.spawn(function(inner, std::move(arguments)...), "in_scope");
    co_await inner.join();
    if (body.canceled()) {
        if (TaskContext::current()->stop_requested()) TaskContext::current()->throw_stop();
        throw no_result();
    }
    co_return body.take();
}

}  // namespace confab
