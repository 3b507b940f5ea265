// Public: what a server did with what it was given.
#pragma once

#include <cstdint>

namespace confab::load {

/// What went wrong, in messages and connections. Any of it fails a run.
struct Faults {
    std::uint64_t lost = 0;          ///< never came back although later ones did, or until the end
    std::uint64_t doubled = 0;       ///< came once more
    std::uint64_t reordered = 0;     ///< came, but behind a later one
    std::uint64_t corrupted = 0;     ///< is none that was sent
    std::uint64_t disconnected = 0;  ///< connections that ended unasked
    std::uint64_t complaints = 0;    ///< lines in which the server says an error
    std::uint64_t refused = 0;       ///< connections that could not be made

    std::uint64_t all() const {
        return lost + doubled + reordered + corrupted + disconnected + complaints + refused;
    }
    Faults& operator+=(const Faults& other) {
        lost += other.lost;
        doubled += other.doubled;
        reordered += other.reordered;
        corrupted += other.corrupted;
        disconnected += other.disconnected;
        complaints += other.complaints;
        refused += other.refused;
        return *this;
    }
};

}  // namespace confab::load
