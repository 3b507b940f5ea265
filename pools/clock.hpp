// Public: time, as everything that waits counts it.
#pragma once

#include <chrono>
#include <cstdint>

namespace confab {

using Duration = std::chrono::nanoseconds;

/// A point on a steady clock (CLOCK_MONOTONIC, or the virtual clock of a simulated reactor).
struct Clock {
    using duration = Duration;
    using rep = duration::rep;
    using period = duration::period;
    using time_point = std::chrono::time_point<Clock>;
    static constexpr bool is_steady = true;
    static time_point now() noexcept {
        return time_point(std::chrono::steady_clock::now().time_since_epoch());
    }
};
using Instant = Clock::time_point;

/// Later than everything: "no limit".
inline constexpr Instant never = Instant::max();

/// `base + delay`, where a sum that does not fit is `never` and a negative delay is none.
constexpr Instant after(Instant base, Duration delay) {
    if (delay <= Duration::zero()) return base;
    return delay >= never - base ? never : base + delay;
}

/// The end of a wait that may take `limit`: zero or less has passed already, so that the wait only looks, and
/// the clock is not asked.
inline Instant deadline_in(Duration limit) {
    return limit <= Duration::zero() ? Instant::min() : after(Clock::now(), limit);
}

}  // namespace confab
