#include "coro/operation_awaiter.hpp"

namespace confab {

// In the order of Operation::Kind.
const std::array<WaitKind, 9> OperationAwaiter::kinds{{
    {"accept", &cancel_wait},
    {"connect", &cancel_wait},
    {"receive", &cancel_wait},
    {"send", &cancel_wait},
    {"shutdown", &cancel_wait},
    {"close", [](Waiter&) noexcept {}},  // a close is a join: it ends when it ends
    {"poll", &cancel_wait},
    {"release", [](Waiter&) noexcept {}},
    {"sleep", &cancel_wait},
}};

bool OperationAwaiter::await_suspend(std::coroutine_handle<> handle) noexcept {
    if (!begin(handle) && !is_last()) return false;
    return submit();
}

bool OperationAwaiter::submit() noexcept {
    if (context_->reactor().submit(*this)) return false;
    context_->suspend_in(*this);
    return true;
}

void OperationAwaiter::suspend_as_job(const WaitKind& kind_of_wait) noexcept {
    run = [](Job& job) noexcept { completed(static_cast<Operation&>(job)); };
    wait_kind = &kind_of_wait;
    context_->suspend_in(*this);
}

void OperationAwaiter::completed(Operation& operation) noexcept {
    auto& self = static_cast<OperationAwaiter&>(operation);
    self.context_->resume(self.handle_);
}

std::expected<int, std::error_code> OperationAwaiter::outcome() const {
    if (result >= 0) return result;
    const bool out_of_time = result == -ECANCELED && context_->stop_reason() == StopReason::timed_out;
    return error(out_of_time ? -ETIMEDOUT : result);
}

std::unexpected<std::error_code> error(int negative_errno) {
    return std::unexpected(std::error_code(-negative_errno, std::generic_category()));
}

void OperationAwaiter::cancel_wait(Waiter& waiter) noexcept {
    auto& self = static_cast<OperationAwaiter&>(waiter);
    self.context_->reactor().cancel(self);
}

}  // namespace confab
