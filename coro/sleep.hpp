// Public: waiting for time to pass.
#pragma once

#include "coro/operation_awaiter.hpp"

namespace confab {

class [[nodiscard]] Sleep : public OperationAwaiter {
  public:
    Sleep(Duration duration, std::source_location where)
        : OperationAwaiter(Kind::sleep, -1, duration, where) {}

    void await_resume() const {
        if (result < 0) context_->throw_stop();
    }
};

/// `co_await sleep(d)`: suspends the task for `d`, at least and about a millisecond more. Zero or less: only
/// lets everything else that is ready run first. Throws task_canceled when the task is asked to stop.
inline Sleep sleep(Duration duration, std::source_location where = std::source_location::current()) {
    return {duration, where};
}

}  // namespace confab
