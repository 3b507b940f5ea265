// Public: what a hub counts.
#pragma once

#include <atomic>
#include <cstdint>

namespace confab::chat {

/// A number that one thread adds to and any thread may read.
class Counter {
  public:
    void add(std::uint64_t count = 1) {
        value_.store(value_.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);
    }
    std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

  private:
    std::atomic<std::uint64_t> value_{0};
};

/// One hub's counts since its start.
struct Counters {
    Counter entered;           ///< members
    Counter left;              ///< members, for any reason
    Counter messages;          ///< said, emoted, set as a topic or told by members of this hub
    Counter deliveries;        ///< events handed to a member's outbox
    Counter refused_lines;     ///< too long, not text, or more than the limit a second
    Counter dropped_too_slow;  ///< members who did not read
    Counter missed;            ///< messages that this hub's members were told they missed, once a room
    Counter overruns;          ///< times this hub's reactor fell too far behind
    Counter waits_for_room;    ///< times a publisher of this hub had to wait for another reactor
};

}  // namespace confab::chat
