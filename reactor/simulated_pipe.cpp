#include "reactor/simulated_pipe.hpp"

#include <algorithm>
#include <cstring>

namespace confab {

void SimulatedPipe::put(Bytes bytes, Instant arrival) {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    travelling_.push_back({.arrival = arrival, .size = bytes.size(), .end = false});
}

void SimulatedPipe::put_end(Instant arrival) {
    travelling_.push_back({.arrival = arrival, .size = 0, .end = true});
}

void SimulatedPipe::arrive(Instant now) {
    while (next_segment_ < travelling_.size() && travelling_[next_segment_].arrival <= now) {
        readable_ += travelling_[next_segment_].size;
        ended_ |= travelling_[next_segment_].end;
        ++next_segment_;
    }
    if (next_segment_ < travelling_.size()) return;
    travelling_.clear();
    next_segment_ = 0;
}

std::size_t SimulatedPipe::take(std::span<std::byte> target) {
    const std::size_t count = std::min(target.size(), readable_);
    if (count == 0) return 0;
    std::memcpy(target.data(), bytes_.data() + head_, count);
    head_ += count;
    readable_ -= count;
    // Moves the rest to the front when it is the smaller half, so that a byte is moved once on the average.
    if (head_ > bytes_.size() / 2) {
        bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(head_));
        head_ = 0;
    }
    return count;
}

void SimulatedPipe::cut() {
    bytes_.resize(head_ + readable_);
    travelling_.clear();
    next_segment_ = 0;
}

void SimulatedPipe::clear() {
    bytes_.clear();
    travelling_.clear();
    head_ = readable_ = next_segment_ = 0;
    ended_ = false;
}

}  // namespace confab
