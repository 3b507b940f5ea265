#include "coro/wait_list.hpp"

#include <cassert>

namespace confab {

WaitList::~WaitList() { assert(empty() && "a task waits for what is no more"); }

bool WaitList::wake_one() {
    if (first_ == nullptr) return false;
    first_->wake();
    return true;
}

void WaitList::wake_all() {
    while (wake_one()) {
    }
}

void WaitList::cancel_wait(Waiter& waiter) noexcept {
    auto& awaiter = static_cast<Awaiter&>(waiter);
    if (awaiter.waits()) awaiter.leave_and_resume();
}

WaitList::Awaiter::Awaiter(WaitList& list, const WaitKind& kind_of_wait, bool ready,
                           std::source_location origin)
    : Job([](Job& job) noexcept { static_cast<Awaiter&>(job).resume_task(); }),
      Waiter{.wait_kind = &kind_of_wait, .where = origin},
      woken_(ready),
      list_(&list) {}

bool WaitList::Awaiter::await_suspend(std::coroutine_handle<> handle) noexcept {
    context_ = TaskContext::current();
    if (context_->stop_requested()) return false;
    handle_ = handle;
    enter(*list_, *wait_kind);
    context_->suspend_in(*this);
    return true;
}

void WaitList::Awaiter::enter(WaitList& list, const WaitKind& kind_of_wait) {
    wait_kind = &kind_of_wait;
    list_ = &list;
    if (list.first_ == nullptr) {
        list.first_ = next_waiter_ = previous_waiter_ = this;
        return;
    }
    next_waiter_ = list.first_;
    previous_waiter_ = list.first_->previous_waiter_;
    previous_waiter_->next_waiter_ = list.first_->previous_waiter_ = this;
}

void WaitList::Awaiter::wake() {
    woken_ = true;
    leave_and_resume();
}

void WaitList::Awaiter::leave_and_resume() {
    // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): who is in the list has neighbours
    previous_waiter_->next_waiter_ = next_waiter_;
    next_waiter_->previous_waiter_ = previous_waiter_;
    if (list_->first_ == this) list_->first_ = next_waiter_ == this ? nullptr : next_waiter_;
    next_waiter_ = previous_waiter_ = nullptr;
    context_->reactor().ready(*this);
}

}  // namespace confab
