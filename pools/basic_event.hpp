// Public: a flag to wait for, between threads or between processes.
#pragma once

#include <cstdint>
#include <stop_token>

#include "pools/clock.hpp"
#include "pools/futex.hpp"

namespace confab {

/// Unset until `set`, set until `clear`. Everybody who waits goes on when it is set, even if it is cleared
/// before they get to run: they do not wait for the flag but for the next time it is set. Setting twice is
/// setting once.
///
/// It keeps no list of who waits, so one that is killed while it waits leaves no trace. Any thread. What was
/// done before `set` is seen by who has waited. Requires: nobody waits when it dies; a waiter who has
/// returned is done with it.
template <FutexScope scope>
class basic_event {
  public:
    explicit basic_event(bool is_set = false) : word_(is_set ? set_bit : 0) {}
    basic_event(const basic_event&) = delete;
    basic_event& operator=(const basic_event&) = delete;

    bool is_set() const { return (word_.load(std::memory_order_acquire) & set_bit) != 0; }

    void set() noexcept;
    void clear() noexcept { word_.fetch_and(~set_bit, std::memory_order_relaxed); }

    /// Waits until it is set.
    void wait() { (void)wait_until(never); }

    /// The same, for `limit` at most; gives whether it was set in time. Zero or less only looks.
    [[nodiscard]] bool wait_for(Duration limit) { return wait_until(deadline_in(limit)); }
    [[nodiscard]] bool wait_until(Instant deadline) { return wait_until({}, deadline); }

    /// The same, until a stop is requested at most.
    [[nodiscard]] bool wait(const std::stop_token& stop) { return wait_until(stop, never); }
    [[nodiscard]] bool wait_for(const std::stop_token& stop, Duration limit) {
        return wait_until(stop, deadline_in(limit));
    }
    [[nodiscard]] bool wait_until(const std::stop_token& stop, Instant deadline);

  private:
    static constexpr std::uint32_t set_bit = 1;
    static constexpr std::uint32_t sleepers_bit =
        2;  // somebody may sleep; true too long after a death or a time-out
    static constexpr std::uint32_t one_generation = 4;

    // Two flags, and above them how often it was set, which wraps: a waiter would have to sleep through
    // exactly 2^30 settings to miss them.
    FutexWord word_;
};

extern template class basic_event<FutexScope::threads>;
extern template class basic_event<FutexScope::processes>;

}  // namespace confab
