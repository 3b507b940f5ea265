// Internal to reactor: how long a mechanism may wait, as its system call wants to hear it.
#pragma once

#include <ctime>

#include "reactor/clock.hpp"

namespace confab {

/// The time from now until `deadline` in `left`, whose address is returned; nullptr for `never`. Asks for the
/// time only when it matters.
inline const timespec* time_left(Instant deadline, timespec& left) {
    if (deadline == never) return nullptr;
    left = {};
    if (deadline == Instant::min()) return &left;
    const Instant now = Clock::now();
    if (deadline <= now) return &left;
    const auto seconds = std::chrono::floor<std::chrono::seconds>(deadline - now);
    left.tv_sec = seconds.count();
    left.tv_nsec = (deadline - now - seconds).count();
    return &left;
}

}  // namespace confab
