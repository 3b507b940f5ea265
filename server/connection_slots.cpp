#include "server/connection_slots.hpp"

#include <algorithm>

namespace confab {

bool ConnectionSlots::take(Asker& asker) {
    const MutexLock lock(mutex_);
    if (count_in()) return true;
    if (asker.state_ == Asker::State::quiet) {
        asker.state_ = Asker::State::listed;
        askers_.push_back(&asker);
    }
    return false;
}

bool ConnectionSlots::count_in() {
    if (taken_ >= count_) return false;
    if (others_.here != nullptr) others_.here->fetch_add(1, std::memory_order_seq_cst);
    // First in, then counted: two who come at once may both be refused, but never both be let in as the last.
    if (others_.everywhere && others_.everywhere() > count_) {
        others_.here->fetch_sub(1, std::memory_order_seq_cst);
        return false;
    }
    ++taken_;
    if (others_.served != nullptr) others_.served->fetch_add(1, std::memory_order_relaxed);
    return true;
}

void ConnectionSlots::move_in() {
    const MutexLock lock(mutex_);
    ++taken_;
    if (others_.here != nullptr) others_.here->fetch_add(1, std::memory_order_seq_cst);
    if (others_.came) others_.came();
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
    --taken_;
    if (others_.here != nullptr) others_.here->fetch_sub(1, std::memory_order_seq_cst);
    if (others_.gone) others_.gone();
    for (Asker* const asker : askers_) {
        asker->state_ = Asker::State::posted;
        asker->reactor_.post(asker->job_);
    }
    askers_.clear();
}

}  // namespace confab
