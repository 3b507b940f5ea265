// Public: for authors of awaitables, an operation that a task awaits.
#pragma once

#include <array>
#include <cerrno>
#include <coroutine>
#include <expected>
#include <source_location>
#include <system_error>

#include "coro/context.hpp"
#include "reactor/operation.hpp"
#include "reactor/reactor.hpp"

namespace confab {

/// Submits itself when awaited and resumes the task when it is over. Lives in the task's frame; allocates
/// nothing. Already asked to stop: it is not even submitted.
class OperationAwaiter : protected Operation, protected Waiter {
  public:
    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> handle) noexcept;

  protected:
    OperationAwaiter(Kind operation_kind, int descriptor, std::source_location origin)
        : Operation(operation_kind, descriptor, &completed),
          Waiter{.wait_kind = &kinds[static_cast<std::size_t>(operation_kind)], .where = origin} {}
    OperationAwaiter(Kind operation_kind, int descriptor, Duration limit, std::source_location origin)
        : OperationAwaiter(operation_kind, descriptor, origin) {
        if (limit != no_limit) deadline = after(Reactor::current()->now(), limit);
    }
    ~OperationAwaiter() = default;

    /// `result`, or the error: operation_canceled and timed_out if that is what became of it, the errno
    /// otherwise.
    std::expected<int, std::error_code> outcome() const;

    /// Notes who is being suspended. False: the task was asked to stop, `result` is set, it must not suspend.
    bool begin(std::coroutine_handle<> handle) noexcept {
        context_ = TaskContext::current();
        handle_ = handle;
        if (!context_->stop_requested()) [[likely]]
            return true;
        result = -ECANCELED;
        return false;
    }
    /// Submits the operation and suspends the task in it. False: it is over already.
    bool submit() noexcept;
    /// Suspends the task as a mere job: whoever holds it makes it ready.
    void suspend_as_job(const WaitKind& kind_of_wait) noexcept;
    /// Resumes the task.
    static void completed(Operation& operation) noexcept;

    TaskContext* context_ = nullptr;

  private:
    static const std::array<WaitKind, 9> kinds;
    static void cancel_wait(Waiter& waiter) noexcept;

    std::coroutine_handle<> handle_;
};

/// The error for a negative errno, as input and output return it.
std::unexpected<std::error_code> error(int negative_errno);

}  // namespace confab
