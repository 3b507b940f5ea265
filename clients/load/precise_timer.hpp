// Internal to clients: waiting for a time to some microseconds.
#pragma once

#include "coro/task.hpp"
#include "pools/fd.hpp"
#include "reactor/reactor.hpp"

namespace confab::load {

/// The reactor's own timers tick once a millisecond, which is plenty for time limits and too coarse to send
/// by. This is a timerfd; in a simulation, whose clock has nothing between two ticks, a sleep. Reactor's
/// thread only; one wait at a time.
class PreciseTimer {
  public:
    /// Throws std::system_error when the kernel has no timer to give.
    explicit PreciseTimer(Reactor& reactor);
    PreciseTimer(const PreciseTimer&) = delete;
    PreciseTimer& operator=(const PreciseTimer&) = delete;

    /// The time now, not that of the reactor's turn (but in a simulation, where that is the only one).
    Instant now() const { return simulated_ ? reactor_.now() : Clock::now(); }

    /// Waits until `when`. Throws task_canceled.
    task<void> wait_until(Instant when);

    /// Gives the timer back; before it dies, unless it was never waited for. Cannot be cancelled.
    task<void> close();

  private:
    Reactor& reactor_;
    const bool simulated_;
    Fd timer_;
};

}  // namespace confab::load
