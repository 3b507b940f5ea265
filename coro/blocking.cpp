#include "coro/blocking.hpp"

namespace confab {

const WaitKind BlockingCall::blocking_kind{"blocking call", &cancel};

BlockingCall::BlockingCall(Offload& pool, std::source_location where)
    : Job([](Job& job) noexcept {
          auto& self = static_cast<BlockingCall&>(job);
          self.context_->reactor().release_hold();
          self.context_->resume(self.handle_);
      }),
      Waiter{.wait_kind = &blocking_kind, .where = where},
      Work(&call_and_post),
      pool_(pool) {}

bool BlockingCall::await_suspend(std::coroutine_handle<> handle) {
    context_ = TaskContext::current();
    if (context_->stop_requested()) return false;
    handle_ = handle;
    called_ = true;
    pool_.submit(*this);
    context_->reactor().hold();
    context_->suspend_in(*this);
    return true;
}

void BlockingCall::check_called() const {
    if (!called_) context_->throw_stop();
}

// The task goes on, and this dies, as soon as it is posted.
void BlockingCall::call_and_post(Work& work) noexcept {
    auto& self = static_cast<BlockingCall&>(work);
    self.call();
    self.context_->reactor().post(self);
}

void BlockingCall::cancel(Waiter& waiter) noexcept {
    auto& self = static_cast<BlockingCall&>(waiter);
    if (!self.pool_.withdraw(self)) {
        self.stop_source_.request_stop();
        return;
    }
    self.called_ = false;
    self.context_->reactor().ready(self);
}

}  // namespace confab
