// Internal to reactor: a time at which a thread's blocking system call is interrupted.
#pragma once

#include <sys/types.h>

#include <ctime>

#include "reactor/clock.hpp"

namespace confab {

/// A POSIX timer that sends a signal to one thread when its time has come, and again and again from then on:
/// a signal that comes just before the call interrupts nothing. One thread at a time.
class InterruptTimer {
  public:
    InterruptTimer() = default;
    InterruptTimer(const InterruptTimer&) = delete;
    InterruptTimer& operator=(const InterruptTimer&) = delete;
    ~InterruptTimer() { remove(); }

    bool exists() const { return exists_; }
    /// Makes the timer, for `signal` to `thread`. False: the system has none to give (RLIMIT_SIGPENDING).
    /// Requires: there is none.
    bool make(pid_t thread, int signal) noexcept;
    /// The signal comes at `at`, or at once when that has passed, then every `interval`. False: there is no
    /// timer.
    bool set(Instant at, Duration interval) noexcept;
    /// No signal comes. Without effect when it is not set.
    void put_off() noexcept;
    void remove() noexcept;

    /// The time last set; `never`: it is not set.
    Instant at() const { return at_; }

  private:
    timer_t timer_{};
    bool exists_ = false;
    Instant at_ = never;
};

}  // namespace confab
