#include "reactor/timer_wheel.hpp"

#include <algorithm>
#include <bit>
#include <utility>

namespace confab {

namespace {

// The first tick at or after `instant`.
std::uint64_t tick_of_deadline(Instant instant, int tick_bits) {
    const auto nanoseconds =
        static_cast<std::uint64_t>(std::max<Clock::rep>(instant.time_since_epoch().count(), 0));
    return (nanoseconds + (std::uint64_t{1} << tick_bits) - 1) >> tick_bits;
}

std::uint64_t tick_of_now(Instant instant, int tick_bits) {
    return static_cast<std::uint64_t>(std::max<Clock::rep>(instant.time_since_epoch().count(), 0)) >>
           tick_bits;
}

void link_before(TimerNode& position, TimerNode& node) {
    node.timer_next = &position;
    node.timer_previous = position.timer_previous;
    position.timer_previous->timer_next = &node;
    position.timer_previous = &node;
}

void unlink(TimerNode& node) {
    node.timer_previous->timer_next = node.timer_next;
    node.timer_next->timer_previous = node.timer_previous;
    node.timer_next = node.timer_previous = nullptr;
}

}  // namespace

TimerWheel::TimerWheel(Instant now) : tick_(tick_of_now(now, tick_bits)) {}

void TimerWheel::insert(TimerNode& node) {
    file(node);
    ++size_;
}

void TimerWheel::file(TimerNode& node) {
    node.filed = node.deadline;
    const std::uint64_t when = tick_of(node.filed);
    if (when <= tick_) {
        link_before(due_.head, node);
        return;
    }
    // The coarsest digit (base `slots`) in which `when` and now differ says the level; that digit is the
    // slot.
    const auto level = static_cast<std::size_t>((std::bit_width(when ^ tick_) - 1) / slot_bits);
    const std::size_t slot = (when >> (level * slot_bits)) & (slots - 1);
    occupied_[level] |= std::uint64_t{1} << slot;
    link_before(wheel_[level][slot].head, node);
}

void TimerWheel::remove(TimerNode& node) {
    TimerNode* const neighbour = node.timer_next;
    unlink(node);
    --size_;
    if (neighbour->timer_next != neighbour || neighbour == &due_.head) return;
    // `neighbour` is the head of a list that is empty now: say so, or `next` would name it for nothing.
    static_assert(sizeof(List) == sizeof(TimerNode));
    const auto index = static_cast<std::size_t>(neighbour - &wheel_[0][0].head);
    occupied_[index / slots] &= ~(std::uint64_t{1} << (index % slots));
}

std::optional<TimerWheel::Slot> TimerWheel::nearest_slot() const {
    for (std::size_t level = 0; level < levels; ++level) {
        if (occupied_[level] == 0) continue;
        // All slots in use lie ahead of now within this turn of their level, and finer levels come first.
        const auto index = static_cast<std::size_t>(std::countr_zero(occupied_[level]));
        const int shift = static_cast<int>(level) * slot_bits;
        const std::uint64_t turn = tick_ >> (shift + slot_bits) << (shift + slot_bits);
        return Slot{level, index, turn | (index << shift)};
    }
    return std::nullopt;
}

// The tick in which a timer fires, if that lies in the future.
std::uint64_t TimerWheel::tick_of(Instant deadline) const {
    const std::uint64_t rim = tick_ | ((std::uint64_t{1} << (slot_bits * static_cast<int>(levels))) - 1);
    return std::min(tick_of_deadline(deadline, tick_bits), rim);
}

// The beginning of the slot when many are in it: to go through them all each time would not be O(1).
std::uint64_t TimerWheel::first_tick_in(const Slot& slot) const {
    constexpr int few = 4;
    const TimerNode& head = wheel_[slot.level][slot.index].head;
    std::uint64_t first = std::uint64_t{1} << 63;
    int count = 0;
    for (const TimerNode* node = head.timer_next; node != &head; node = node->timer_next) {
        if (++count > few) return slot.tick;
        first = std::min(first, tick_of(node->filed));
    }
    return first;
}

Instant TimerWheel::next() const {
    if (!due_.empty()) return Instant::min();
    const auto slot = nearest_slot();
    if (!slot) return never;
    return Instant(Duration(static_cast<Clock::rep>(first_tick_in(*slot) << tick_bits)));
}

// Goes from slot to slot: the wheel stands where a slot begins while its nodes are filed anew, one level
// finer or as due.
void TimerWheel::advance(Instant now) {
    const std::uint64_t target = tick_of_now(now, tick_bits);
    for (auto slot = nearest_slot(); slot && slot->tick <= target; slot = nearest_slot()) {
        tick_ = slot->tick;
        occupied_[slot->level] &= ~(std::uint64_t{1} << slot->index);
        TimerNode& head = wheel_[slot->level][slot->index].head;
        while (head.timer_next != &head) {
            TimerNode& node = *head.timer_next;
            unlink(node);
            file(node);
        }
    }
    tick_ = std::max(tick_, target);
}

TimerNode* TimerWheel::pop_due() {
    if (due_.empty()) return nullptr;
    TimerNode* const node = due_.head.timer_next;
    unlink(*node);
    --size_;
    return node;
}

}  // namespace confab
