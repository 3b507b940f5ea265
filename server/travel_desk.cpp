#include "server/travel_desk.hpp"

#include <utility>

namespace confab {

void TravelDesk::send_on(Traveller traveller) {
    {
        const MutexLock lock(mutex_);
        ++under_way_;
    }
    reactor_.hold();
    hand_over_(std::move(traveller), [this](std::optional<Traveller> returned) {
        note({.traveller = std::move(returned), .answers = true});
    });
}

bool TravelDesk::is_waiting() {
    const MutexLock lock(mutex_);
    return under_way_ > 0;
}

// Posts under the lock: once an answer has been taken, the desk may be gone.
void TravelDesk::note(Arrival arrival) {
    const MutexLock lock(mutex_);
    arrivals_.push_back(std::move(arrival));
    if (!std::exchange(posted_, true)) reactor_.post(job_);
}

void TravelDesk::take_arrivals() {
    std::vector<Arrival> arrived;
    std::size_t answers = 0;
    {
        const MutexLock lock(mutex_);
        posted_ = false;
        arrived.swap(arrivals_);
        for (const Arrival& each : arrived) answers += each.answers ? 1 : 0;
        under_way_ -= answers;
    }
    for (Arrival& each : arrived) {
        if (each.traveller) arrive_(std::move(*each.traveller), each.answers);
    }
    for (std::size_t i = 0; i < answers; ++i) reactor_.release_hold();
    if (answers > 0) reactor_.stop();
}

}  // namespace confab
