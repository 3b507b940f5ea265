#include "clients/load/room_order.hpp"

#include <algorithm>

namespace confab::load {

void RoomLog::append(const Saying& saying) {
    sayings_.push_back(saying);
    if (sayings_.size() <= length_limit) return;
    sayings_.pop_front();
    ++first_;
}

bool Listening::hear(const Saying& saying) {
    if (saying.speaker == speaker_) return false;
    ahead_.push_back(saying);
    return catch_up() > 0;
}

std::uint64_t Listening::catch_up() {
    const std::uint64_t before = faults_.doubled;
    follow();
    return faults_.doubled - before;
}

void Listening::follow() {
    if (place_ < log_.begin()) {
        place_ = log_.begin();
        begun_ = false;
        missing_.clear();
    }
    while (!ahead_.empty() && settle(ahead_.front())) ahead_.pop_front();
}

// False: it cannot be told before the witness has heard more.
bool Listening::settle(const Saying& saying) {
    while (place_ < log_.end() && log_.at(place_).speaker == speaker_) ++place_;
    if (place_ < log_.end() && log_.at(place_) == saying) {
        ++place_;
        begun_ = true;
        return true;
    }
    if (const auto later = find(saying, place_)) {
        for (std::uint64_t passed = place_; begun_ && passed < *later; ++passed) {
            if (log_.at(passed).speaker != speaker_) missing_.insert(passed);
        }
        place_ = *later + 1;
        begun_ = true;
        return true;
    }
    const std::uint64_t recent = log_.end() > recent_limit ? log_.end() - recent_limit : 0;
    const auto before = find(saying, std::max(log_.begin(), recent));
    if (!before) return false;
    const bool was_missing = missing_.erase(*before) > 0;
    if (begun_) ++(was_missing ? faults_.reordered : faults_.doubled);
    return true;
}

std::optional<std::uint64_t> Listening::find(const Saying& saying, std::uint64_t from) const {
    for (std::uint64_t place = from; place < log_.end(); ++place) {
        if (log_.at(place) == saying) return place;
    }
    return std::nullopt;
}

Faults Listening::faults(bool stayed) const {
    Listening at_end = *this;
    at_end.follow();
    Faults all = at_end.faults_;
    all.lost += at_end.missing_.size();
    if (!stayed) return all;
    for (std::uint64_t place = at_end.place_; at_end.begun_ && place < log_.end(); ++place) {
        if (log_.at(place).speaker != speaker_) ++all.lost;
    }
    // What only this member has heard, the witness has lost.
    all.lost += at_end.ahead_.size();
    return all;
}

}  // namespace confab::load
