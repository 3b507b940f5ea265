// Public: deadlines, and other reasons from outside for a scope to stop.
#pragma once

#include <expected>
#include <optional>
#include <stop_token>
#include <system_error>
#include <type_traits>

#include "coro/scope.hpp"

namespace confab {

/// While it lives, `scope` has until `limit` from now: then it is asked to stop, with StopReason::timed_out.
/// Zero or less: as soon as everything that is ready now has run. Reactor's thread only; must die before the
/// scope.
class deadline : Operation {
  public:
    deadline(scope& limited_scope, Duration limit);
    deadline(const deadline&) = delete;
    deadline& operator=(const deadline&) = delete;
    ~deadline();

    /// Begins again: from now on it has `limit`; no_limit: no more limit. Without effect once expired.
    void reset(Duration limit);

    /// True when the limit has passed and that is why the scope was asked to stop: nobody had asked before.
    bool expired() const { return expired_; }

  private:
    scope& scope_;
    bool expired_ = false;
};

/// While it lives, a request to stop of `token`, on whatever thread, asks the scope to stop. The reactor
/// waits for it meanwhile as for anything from outside (Reactor::hold). Reactor's thread only; must die
/// before the scope.
class stop_when : Job {
  public:
    stop_when(scope& stopped_scope, std::stop_token token);
    stop_when(const stop_when&) = delete;
    stop_when& operator=(const stop_when&) = delete;
    ~stop_when();

  private:
    struct Request {
        stop_when& self;
        void operator()() const noexcept { self.scope_.reactor().post(self); }
    };

    scope& scope_;
    std::optional<std::stop_callback<Request>> callback_;
};

template <class T>
inline constexpr bool is_io_result = false;
template <class T>
inline constexpr bool is_io_result<std::expected<T, std::error_code>> = true;

/// Runs `body`, which has until `limit`: its result, or std::errc::timed_out when it was asked to stop for
/// lack of time and had no result to give. (A body that gives a std::expected of its own is not wrapped
/// twice.) The body is joined in any case: a body that computes on without waiting is not interrupted. What
/// it throws is thrown. Zero or less: the body may do what it can without waiting. When the waiting task
/// itself is asked to stop, by a deadline around this one for instance, so is the body, and that ends as
/// ever: with task_canceled.
template <class T>
auto with_timeout(Duration limit, task<T> body, std::source_location where = std::source_location::current())
    -> task<std::conditional_t<is_io_result<T>, T, std::expected<T, std::error_code>>> {
    scope inner(OnFailure::ignore);
    const child<T> work = inner.spawn(std::move(body), "with_timeout", where);
    deadline timer(inner, limit);
    co_await inner.join(where);
    if (work.failed()) std::rethrow_exception(work.exception());
    if (work.canceled()) {
        if (!timer.expired()) TaskContext::current()->throw_stop();
        co_return std::unexpected(std::make_error_code(std::errc::timed_out));
    }
    if constexpr (std::is_void_v<T>) {
        co_return std::expected<void, std::error_code>{};
    } else {
        co_return work.take();
    }
}

}  // namespace confab
