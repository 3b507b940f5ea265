// Internal to reactor: timers in O(1).
//
// A hierarchical timing wheel (Varghese & Lauck, SOSP 1987, scheme 6): LEVELS rings of SLOTS lists. Level 0
// has one slot a tick, each further level one slot for a whole turn of the level below; a timer is put in the
// coarsest ring that can tell it from now and moves down as its time comes near. Inserting and removing are a
// few stores. A tick is 2^20 ns (about 1 ms): a timer fires at the first tick at or after its deadline, never
// before.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "reactor/clock.hpp"
#include "reactor/operation.hpp"

namespace confab {

/// Owns no node: a node must stay put from insert until it is removed or handed out by `expire`.
/// One thread (the reactor's).
class TimerWheel {
  public:
    explicit TimerWheel(Instant now);
    TimerWheel(const TimerWheel&) = delete;
    TimerWheel& operator=(const TimerWheel&) = delete;

    bool empty() const { return size_ == 0; }
    std::size_t size() const { return size_; }

    /// Requires: `node` is not armed. A deadline beyond the wheel's reach (over a hundred years) fires at its
    /// rim. While it is armed the deadline may be moved, to no earlier than `filed`: where the node stands,
    /// it is looked at anew.
    void insert(TimerNode& node);

    /// Requires: `node` is armed.
    void remove(TimerNode& node);

    /// Moves the wheel to `now`, then calls `expired(TimerNode&)` for each node whose tick has come, in
    /// the order of ticks; each is disarmed before its call, which may insert and remove at will.
    template <class Function>
    void expire(Instant now, Function expired) {
        advance(now);
        while (TimerNode* const node = pop_due()) expired(*node);
    }

    /// No timer fires before this instant; `never` when there is none. Never later than the first timer's
    /// tick; exactly that when the timers nearest to it are few, else perhaps earlier (a coarse slot is to be
    /// sorted out).
    Instant next() const;

  private:
    static constexpr int tick_bits = 20;
    static constexpr int slot_bits = 6;
    static constexpr std::size_t slots = std::size_t{1} << slot_bits;
    static constexpr std::size_t levels = 7;  // 2^(20 + 7 * 6) ns is 146 years

    struct List {
        TimerNode head;
        List() { head.timer_next = head.timer_previous = &head; }
        bool empty() const { return head.timer_next == &head; }
    };

    struct Slot {
        std::size_t level;
        std::size_t index;
        std::uint64_t tick;  // at which it begins
    };
    std::optional<Slot> nearest_slot() const;
    std::uint64_t first_tick_in(const Slot& slot) const;
    std::uint64_t tick_of(Instant deadline) const;
    void advance(Instant now);
    void file(TimerNode& node);
    TimerNode* pop_due();

    std::uint64_t tick_ = 0;  // all ticks up to this one have been looked at
    std::size_t size_ = 0;
    std::array<std::uint64_t, levels> occupied_{};  // a bit per slot that may hold nodes
    std::array<std::array<List, slots>, levels> wheel_;
    List due_;
};

}  // namespace confab
