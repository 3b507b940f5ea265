// Internal to clients: which connection sends the next message, and when.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "clients/load/arrivals.hpp"
#include "clients/load/histogram.hpp"
#include "clients/load/precise_timer.hpp"
#include "coro/event.hpp"
#include "coro/task.hpp"

namespace confab::load {

/// Something that can send messages, but only so many at once.
class Taker {
  public:
    /// Sends a message, which was due at `due`. True: there is room for another one now.
    virtual bool take(Instant due) = 0;

  protected:
    Taker() = default;
    Taker(const Taker&) = delete;
    Taker& operator=(const Taker&) = delete;
    ~Taker() = default;

  private:
    friend class Injector;
    Taker* next_ = nullptr;
    Taker* previous_ = nullptr;  // null exactly when it does not wait
    Instant waits_since_{};
};

/// Hands messages to those who wait for one, first come, first served.
///
/// Closed loop: there is always another message, and it is due now. Open loop: messages are due when the
/// arrivals say, and whether anyone is free to take them changes nothing about that. What nobody could take
/// yet needs no queue: it is what the arrivals are behind.
///
/// Reactor's thread only.
class Injector {
  public:
    /// Without `arrivals`: a closed loop.
    Injector(Reactor& reactor, std::optional<Arrivals> arrivals);
    Injector(const Injector&) = delete;
    Injector& operator=(const Injector&) = delete;
    ~Injector();

    /// `taker` has room for a message: it gets one now or later, from here or from `pace`. Requires: it does
    /// not wait already. It must live until it is refused further messages or has been taken off.
    void want(Taker& taker);
    /// `taker` wants none any more. Without effect when it does not wait.
    void take_off(Taker& taker);

    /// Nothing is handed out before this. The first message is due at `start`.
    void open(Instant start);
    /// Nothing is handed out any more. Gives how many messages had been due until `end` and nobody was free
    /// to take, and counts their waiting so far in `waits`.
    std::uint64_t close(Instant end, Histogram& waits);
    void change_rate(double rate);

    bool is_open_loop() const { return arrivals_.has_value(); }
    /// The time now, as latencies are counted.
    Instant now() const { return timer_.now(); }

    /// How much later than due messages were handed out that somebody waited for: the generator's own fault.
    const Histogram& lateness() const { return lateness_; }
    void forget_lateness() { lateness_.clear(); }

    /// Runs an open loop; needed for a closed one, too, at the opening. Until the task is asked to stop.
    task<void> pace();

  private:
    // Waking up costs some microseconds, so what is due within this time goes together. It is counted as
    // lateness and is part of the latency.
    static constexpr Duration least_pause = std::chrono::microseconds(50);
    // The rate may change meanwhile.
    static constexpr Duration longest_pause = std::chrono::milliseconds(100);

    void hand_out();
    task<void> pace_on();

    PreciseTimer timer_;
    std::optional<Arrivals> arrivals_;
    Taker* first_ = nullptr;  // of a ring
    bool open_ = false;
    bool handing_out_ = false;
    event wanted_;  // set when somebody waits and nothing is due
    Histogram lateness_;
};

}  // namespace confab::load
