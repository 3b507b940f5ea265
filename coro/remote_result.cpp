#include "coro/remote_result.hpp"

namespace confab {

void RemoteState::promised() {
    const MutexLock lock(mutex_);
    if (!std::exchange(held_, true)) reactor_->hold();
}

void RemoteState::arrive(Job& job) noexcept {
    auto& self = static_cast<RemoteState&>(job);
    self.held_ = false;
    Reactor::current()->release_hold();
    self.arrived_ = true;
    self.waiters_.wake_all();
}

// With the lock in hand nobody else is in the midst of posting: it is posted, or never will be.
void RemoteState::abandon() {
    const MutexLock lock(mutex_);
    Reactor* const reactor = std::exchange(reactor_, nullptr);
    if (!std::exchange(held_, false)) return;
    if (set_) reactor->take_back(*this);
    reactor->release_hold();
}

void RemoteState::set_exception(std::exception_ptr exception) {
    set([&] { exception_ = std::move(exception); });
}

bool RemoteState::is_set() const {
    const MutexLock lock(mutex_);
    return set_;
}

}  // namespace confab
