#include "server/connection_slots.hpp"

#include <algorithm>

namespace confab {

bool ConnectionSlots::take(Asker& asker) {
    const MutexLock lock(mutex_);
    if (free_ > 0) {
        --free_;
        return true;
    }
    if (asker.state_ == Asker::State::quiet) {
        asker.state_ = Asker::State::listed;
        askers_.push_back(&asker);
    }
    return false;
}

void ConnectionSlots::acknowledge(Asker& asker) {
    const MutexLock lock(mutex_);
    asker.state_ = Asker::State::quiet;
}

void ConnectionSlots::forget(Asker& asker) {
    const MutexLock lock(mutex_);
    std::erase(askers_, &asker);
}

// Posts under the lock: after `forget` nobody can be about to.
void ConnectionSlots::give_back() {
    const MutexLock lock(mutex_);
    ++free_;
    for (Asker* const asker : askers_) {
        asker->state_ = Asker::State::posted;
        asker->reactor_.post(asker->job_);
    }
    askers_.clear();
}

}  // namespace confab
