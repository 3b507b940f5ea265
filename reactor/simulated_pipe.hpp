// Internal to reactor: one direction of a simulated connection, as its reader sees it.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "reactor/clock.hpp"
#include "reactor/operation.hpp"

namespace confab {

/// Bytes in order, then perhaps the end. They are readable once they have arrived.
class SimulatedPipe {
  public:
    /// Bytes that are unread, arrived or not.
    std::size_t held() const { return bytes_.size() - head_; }
    std::size_t readable() const { return readable_; }
    bool ended() const { return ended_; }

    /// What is put last arrives last, at `arrival` or with what is before it. Nothing arrives before `arrive`
    /// says so.
    void put(Bytes bytes, Instant arrival);
    void put_end(Instant arrival);
    /// What is due by `now` has arrived.
    void arrive(Instant now);
    /// Reads; how many bytes.
    std::size_t take(std::span<std::byte> target);
    /// Loses what is still on its way.
    void cut();
    /// As new; keeps its memory.
    void clear();

  private:
    struct Segment {
        Instant arrival;
        std::size_t size;
        bool end;
    };

    std::vector<std::byte> bytes_;
    std::size_t head_ = 0;      // of what is unread in bytes_
    std::size_t readable_ = 0;  // from head_ on
    bool ended_ = false;
    std::vector<Segment> travelling_;
    std::size_t next_segment_ = 0;
};

}  // namespace confab
