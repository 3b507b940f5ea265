// Public: deadlines.
#pragma once

#include <expected>
#include <system_error>
#include <type_traits>

#include "coro/scope.hpp"

namespace confab {

/// While it lives, `scope` has until `limit` from now: then it is asked to stop, with StopReason::timed_out.
/// Reactor's thread only; must die before the scope.
class deadline : Operation {
  public:
    deadline(scope& limited_scope, Duration limit);
    deadline(const deadline&) = delete;
    deadline& operator=(const deadline&) = delete;
    ~deadline();

    /// True when the limit has passed and the scope was asked to stop.
    bool expired() const { return expired_; }

  private:
    scope& scope_;
    bool expired_ = false;
};

template <class T>
inline constexpr bool is_io_result = false;
template <class T>
inline constexpr bool is_io_result<std::expected<T, std::error_code>> = true;

/// Runs `body`, which has until `limit`: its result, or std::errc::timed_out when it was asked to stop for
/// lack of time and had no result to give. (A body that gives a std::expected of its own is not wrapped
/// twice.) The body is joined in any case: a body that computes on without waiting is not interrupted. What
/// it throws is thrown. When the waiting task itself is asked to stop, so is the body, and that ends as ever:
/// with task_canceled.
template <class T>
auto with_timeout(Duration limit, task<T> body)
    -> task<std::conditional_t<is_io_result<T>, T, std::expected<T, std::error_code>>> {
    scope inner(OnFailure::ignore);
    const child<T> work = inner.spawn(std::move(body), "with_timeout");
    deadline timer(inner, limit);
    co_await inner.join();
    if (work.failed()) std::rethrow_exception(work.exception());
    if (work.canceled()) {
        if (!timer.expired()) TaskContext::current()->throw_stop();
        co_return std::unexpected(std::make_error_code(std::errc::timed_out));
    }
    if constexpr (std::is_void_v<T>) {
        co_return std::expected<void, std::error_code>{};
    } else {
        co_return co_await work.get();
    }
}

}  // namespace confab
