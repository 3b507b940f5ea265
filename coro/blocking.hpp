// Public: calls that block, without holding the loop.
#pragma once

#include <coroutine>
#include <exception>
#include <functional>
#include <optional>
#include <source_location>
#include <stop_token>
#include <type_traits>
#include <utility>
#include <variant>

#include "coro/context.hpp"
#include "pools/offload.hpp"
#include "reactor/job.hpp"

namespace confab {

/// What all `blocking` calls have in common.
class BlockingCall : Job, Waiter, Offload::Work {
  public:
    BlockingCall(const BlockingCall&) = delete;
    BlockingCall& operator=(const BlockingCall&) = delete;

    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> handle);

  protected:
    BlockingCall(Offload& pool, std::source_location where);
    ~BlockingCall() = default;

    /// The call, on a thread of the pool.
    virtual void call() noexcept = 0;
    /// Throws task_canceled if the call was never made.
    void check_called() const;

    std::stop_source stop_source_{std::nostopstate};

  private:
    static void call_and_post(Work& work) noexcept;
    static void cancel(Waiter& waiter) noexcept;
    static const WaitKind blocking_kind;

    Offload& pool_;
    TaskContext* context_ = nullptr;
    std::coroutine_handle<> handle_;
    bool called_ = false;
};

/// See `blocking`.
template <class Function>
class [[nodiscard]] Blocking final : public BlockingCall {
    static constexpr bool takes_token = std::is_invocable_v<Function&, std::stop_token>;
    static auto invoke(Function& function, const std::stop_source& source) {
        if constexpr (takes_token) {
            return std::invoke(function, source.get_token());
        } else {
            return std::invoke(function);
        }
    }
    using Result = decltype(invoke(std::declval<Function&>(), std::declval<std::stop_source&>()));

  public:
    Blocking(Function function, Offload& pool, std::source_location where)
        : BlockingCall(pool, where), function_(std::move(function)) {
        if constexpr (takes_token) stop_source_ = std::stop_source();
    }

    Result await_resume() {
        check_called();
        if (exception_) std::rethrow_exception(exception_);
        if constexpr (!std::is_void_v<Result>) return std::move(*result_);
    }

  private:
    void call() noexcept override {
        try {
            if constexpr (std::is_void_v<Result>) {
                invoke(function_, stop_source_);
            } else {
                result_.emplace(invoke(function_, stop_source_));
            }
        } catch (...) {
            exception_ = std::current_exception();
        }
    }

    Function function_;
    std::optional<std::conditional_t<std::is_void_v<Result>, std::monostate, Result>> result_;
    std::exception_ptr exception_;
};

/// `co_await blocking(f)`: calls `f()` on a thread of `pool` while other tasks run on, and gives what it
/// gives or throws what it throws. For calls that wait and know no reactor: getaddrinfo, a file, a database.
///
/// The wait joins the call: nothing goes on behind it, so `f` may use what the task owns by reference. Asked
/// to stop before the call began, it is not made, and the wait throws task_canceled. After that the wait
/// lasts until `f` returns, and gives what it gave: a call that may take long should take a std::stop_token,
/// which is triggered by the request. `f` runs on another thread: it must touch nothing of the reactor's.
template <class Function>
Blocking<Function> blocking(Function function, Offload& pool = Offload::process(),
                            std::source_location where = std::source_location::current()) {
    return Blocking<Function>(std::move(function), pool, where);
}

}  // namespace confab
