#include "coro/context.hpp"

#include <utility>

#include "coro/child.hpp"

namespace confab {

constinit thread_local TaskContext* TaskContext::current_ = nullptr;

TaskContext::TaskContext(Reactor& reactor, const char* name, std::source_location origin)
    : reactor_(reactor), name_(name), origin_(origin) {}

TaskContext::~TaskContext() = default;

TaskContext::Rare& TaskContext::rare() {
    if (!rare_) rare_ = std::make_unique<Rare>();
    return *rare_;
}

void TaskContext::request_stop(StopReason reason) {
    if (stop_reason_ != StopReason::none) return;
    stop_reason_ = reason;
    if (rare_) rare_->stop_source.request_stop();
    if (waiter_ != nullptr && shields_ == 0) waiter_->wait_kind->cancel(*waiter_);
}

void TaskContext::request_stop_with(std::exception_ptr exception) {
    if (stop_reason_ != StopReason::none) return;
    rare().stop_exception = std::move(exception);
    request_stop(StopReason::canceled);
}

std::stop_token TaskContext::stop_token() {
    std::stop_source& source = rare().stop_source;
    if (!source.stop_possible()) {
        source = std::stop_source();
        if (stop_reason_ != StopReason::none) source.request_stop();
    }
    return source.get_token();
}

std::exception_ptr TaskContext::stop_exception() const {
    return rare_ ? rare_->stop_exception : std::exception_ptr();
}

void TaskContext::throw_stop() const {
    if (const std::exception_ptr exception = stop_exception()) std::rethrow_exception(exception);
    throw task_canceled(stop_reason_);
}

void TaskContext::resume(std::coroutine_handle<> handle) noexcept {
    const Waiter* const waiter = std::exchange(waiter_, nullptr);
    Pulse& pulse = reactor_.pulse();
    pulse.holder.store(waiter != nullptr ? waiter->where : origin_, std::memory_order_relaxed);
    pulse.task.store(name_, std::memory_order_relaxed);
    current_ = this;
    handle.resume();
    current_ = nullptr;
    pulse.task.store(nullptr, std::memory_order_relaxed);
    if (std::exchange(over_, false)) static_cast<ScopedTask&>(*this).settle(true);
}

}  // namespace confab
