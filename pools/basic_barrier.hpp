// Public: parties that wait for each other, between threads or between processes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <stdexcept>

#include "pools/clock.hpp"
#include "pools/futex.hpp"
#include "pools/guard.hpp"

namespace confab {

/// Why a barrier did not let one through.
enum class barrier_error {
    broken,     // somebody's time ran out, or it was aborted, or reset, or a party died or its action threw
    timed_out,  // it was this caller's time; for all others it is broken
};

/// Lets nobody through until as many have come as there are parties; then all, and begins anew. When one
/// fails to come, the others are told: it is broken, for those who wait and those who come later, until
/// `reset`.
///
/// Any thread, `parties` of them at most at a time. Requires: nobody waits when it dies.
///
/// `Roll` says who takes part and whether they live: pools/threads/barrier.hpp, pools/processes/barrier.hpp.
template <class Roll>
class basic_barrier {
  public:
    using Passed = std::expected<std::size_t, barrier_error>;

    /// Throws std::invalid_argument for fewer than one party, or more than there may be.
    explicit basic_barrier(std::ptrdiff_t parties);
    basic_barrier(const basic_barrier&) = delete;
    basic_barrier& operator=(const basic_barrier&) = delete;

    std::size_t parties() const { return parties_; }

    /// Waits for the others; gives the order of arrival, 0 to parties - 1. Throws std::logic_error when all
    /// parties are there already.
    [[nodiscard]] Passed wait() {
        return wait_until(never, [] {});
    }

    /// The same; the last to come runs `action` before anybody is let go. If that throws, the barrier is
    /// broken, and the exception goes on to that caller.
    template <class Action>
    [[nodiscard]] Passed wait(Action&& action) {
        return wait_until(never, std::forward<Action>(action));
    }

    /// The same, for `limit` at most; when it has passed, the barrier is broken. Zero or less: it breaks
    /// unless this is the last to come.
    [[nodiscard]] Passed wait_for(Duration limit) {
        return wait_until(deadline_in(limit), [] {});
    }
    template <class Action>
    [[nodiscard]] Passed wait_for(Duration limit, Action&& action) {
        return wait_until(deadline_in(limit), std::forward<Action>(action));
    }
    [[nodiscard]] Passed wait_until(Instant deadline) {
        return wait_until(deadline, [] {});
    }
    template <class Action>
    [[nodiscard]] Passed wait_until(Instant deadline, Action&& action);

    /// Breaks it.
    void abort();
    /// Mends it, and breaks it for those who wait now.
    void reset();

    bool is_broken();
    /// How many wait.
    std::size_t waiting();

    /// Makes known who will come, so that his death before his first wait() breaks it, too; see `Roll`.
    template <class Who>
    void enroll(const Who& who) {
        const auto held = enter();
        roll_.enroll(who);
    }

  private:
    using Lock = typename Roll::Lock;

    // Guard of the state. Somebody who died in here may have left it half changed, so it is broken then.
    class Entered {
      public:
        explicit Entered(basic_barrier& barrier) : guard_(barrier.lock_) {
            if (Roll::recover(barrier.lock_)) barrier.break_turn();
        }

      private:
        guard<Lock> guard_;
    };
    Entered enter() { return Entered(*this); }

    void end_turn() {
        arrived_ = 0;
        turn_.fetch_add(1, std::memory_order_release);
        futex_wake(turn_, wake_all, Roll::scope);
    }
    void break_turn() {
        broken_ = true;
        end_turn();
    }
    Passed outcome(std::uint32_t turn, std::size_t index) const;
    Passed wait_for_others(std::uint32_t turn, std::size_t index, Instant deadline);

    const std::size_t parties_;
    Lock lock_;
    Roll roll_;                // lock_
    std::size_t arrived_ = 0;  // lock_
    bool broken_ = false;      // lock_
    // Goes up when a turn has ended, well or badly. Waiters sleep on it.
    FutexWord turn_ = 1;
    // The last turn that all passed. It stays while somebody has not yet read it: the next cannot be passed
    // without him.
    std::atomic<std::uint32_t> passed_ = 0;
};

template <class Roll>
basic_barrier<Roll>::basic_barrier(std::ptrdiff_t parties) : parties_(static_cast<std::size_t>(parties)) {
    if (parties < 1 || parties > Roll::most_parties)
        throw std::invalid_argument("a barrier is for one party or more, up to its bound");
}

template <class Roll>
template <class Action>
basic_barrier<Roll>::Passed basic_barrier<Roll>::wait_until(Instant deadline, Action&& action) {
    std::uint32_t turn = 0;
    std::size_t index = 0;
    {
        const auto held = enter();
        if (broken_) return std::unexpected(barrier_error::broken);
        if (arrived_ == parties_) throw std::logic_error("more wait at a barrier than it has parties");
        roll_.enroll_this();
        turn = turn_.load(std::memory_order_relaxed);
        index = arrived_++;
    }
    if (index + 1 < parties_) return wait_for_others(turn, index, deadline);

    // Not under the lock: the others' time may run out meanwhile.
    try {
        std::forward<Action>(action)();
    } catch (...) {
        abort();
        throw;
    }
    const auto held = enter();
    if (turn_.load(std::memory_order_relaxed) != turn) return std::unexpected(barrier_error::broken);
    passed_.store(turn, std::memory_order_relaxed);
    end_turn();
    return index;
}

template <class Roll>
basic_barrier<Roll>::Passed basic_barrier<Roll>::wait_for_others(std::uint32_t turn, std::size_t index,
                                                                 Instant deadline) {
    while (true) {
        const Instant look = std::min(deadline, Roll::next_look());
        while (turn_.load(std::memory_order_acquire) == turn && futex_wait(turn_, turn, Roll::scope, look)) {
        }
        if (turn_.load(std::memory_order_acquire) != turn) return outcome(turn, index);

        const auto held = enter();
        if (turn_.load(std::memory_order_relaxed) != turn) return outcome(turn, index);
        const bool late = look == deadline;
        if (!late && !roll_.somebody_died()) continue;
        break_turn();
        return std::unexpected(late ? barrier_error::timed_out : barrier_error::broken);
    }
}

template <class Roll>
basic_barrier<Roll>::Passed basic_barrier<Roll>::outcome(std::uint32_t turn, std::size_t index) const {
    if (passed_.load(std::memory_order_relaxed) != turn) return std::unexpected(barrier_error::broken);
    return index;
}

template <class Roll>
void basic_barrier<Roll>::abort() {
    const auto held = enter();
    break_turn();
}

template <class Roll>
void basic_barrier<Roll>::reset() {
    const auto held = enter();
    broken_ = false;
    roll_.clear();
    end_turn();
}

template <class Roll>
bool basic_barrier<Roll>::is_broken() {
    const auto held = enter();
    return broken_;
}

template <class Roll>
std::size_t basic_barrier<Roll>::waiting() {
    const auto held = enter();
    return arrived_;
}

}  // namespace confab
