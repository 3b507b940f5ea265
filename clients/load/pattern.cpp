#include "clients/load/pattern.hpp"

#include <algorithm>
#include <cstdint>
#include <functional>

namespace confab::load {

Pattern::Pattern(std::size_t longest, Transform transform) {
    sent_.reserve(period + longest);
    std::uint64_t state = 0x9e3779b97f4a7c15U;  // xorshift64: any seed but zero
    for (std::size_t i = 0; i < period; ++i) {
        state ^= state << 13U;
        state ^= state >> 7U;
        state ^= state << 17U;
        sent_.push_back(static_cast<std::byte>(state >> 56U));
    }
    // The start again at the end, so that any piece is in one piece.
    for (std::size_t i = 0; i < longest; ++i) sent_.push_back(sent_[i]);
    expected_ = sent_;
    if (transform != nullptr) transform(expected_);
}

std::optional<std::size_t> Pattern::find(Bytes bytes) const {
    const auto found = std::search(
        expected_.begin(), expected_.end(),
        std::boyer_moore_horspool_searcher(bytes.begin(), bytes.end(),
                                           [](std::byte byte) { return static_cast<std::size_t>(byte); }));
    if (found == expected_.end()) return std::nullopt;
    return static_cast<std::size_t>(found - expected_.begin()) % period;
}

}  // namespace confab::load
