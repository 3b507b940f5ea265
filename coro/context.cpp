#include "coro/context.hpp"

#include <utility>

namespace confab {

constinit thread_local TaskContext* TaskContext::current_ = nullptr;

void TaskContext::request_stop(StopReason reason) {
    if (stop_reason_ != StopReason::none) return;
    stop_reason_ = reason;
    if (stop_source_.stop_possible()) stop_source_.request_stop();
    if (waiter_ != nullptr && shields_ == 0) waiter_->wait_kind->cancel(*waiter_);
}

std::stop_token TaskContext::stop_token() {
    if (!stop_source_.stop_possible()) {
        stop_source_ = std::stop_source();
        if (stop_reason_ != StopReason::none) stop_source_.request_stop();
    }
    return stop_source_.get_token();
}

void TaskContext::resume(std::coroutine_handle<> handle) noexcept {
    const Waiter* const waiter = std::exchange(waiter_, nullptr);
    reactor_.pulse().holder.store(waiter != nullptr ? waiter->where : origin_, std::memory_order_relaxed);
    current_ = this;
    handle.resume();
    current_ = nullptr;
}

}  // namespace confab
