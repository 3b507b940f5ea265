// Internal to clients: what one worker has sent and what came back of it.
#pragma once

#include <cstdint>

#include "clients/load/histogram.hpp"
#include "coro/event.hpp"

namespace confab::load {

/// When a message was to go, and when it went.
struct Stamp {
    Instant due, sent;
};

/// One worker's counts and latencies. Reactor's thread only.
class Traffic {
  public:
    explicit Traffic(bool is_open_loop) : is_open_loop_(is_open_loop) {}

    /// A message is under way.
    void sent() { ++sent_; }
    /// It has come back, whole.
    void answered(const Stamp& stamp, Instant now) {
        ++answered_;
        if (stamp.due >= from_) {
            corrected_.record(now - stamp.due);
            if (is_open_loop_) uncorrected_.record(now - stamp.sent);
        }
        settle(1);
    }
    /// It will not come back, or nobody waits for it any longer; it has waited until `now`, and counts as if
    /// it had come then.
    void given_up(const Stamp& stamp, Instant now) {
        if (stamp.due >= from_) {
            corrected_.record(now - stamp.due);
            if (is_open_loop_) uncorrected_.record(now - stamp.sent);
        }
        settle(1);
    }
    /// It was never sent whole: the connection is gone.
    void dropped(std::uint64_t messages) { settle(messages); }
    void verified(std::uint64_t bytes) { bytes_ += bytes; }

    /// Latencies count for messages that were due from `from` on.
    void open(Instant from) { from_ = from; }

    std::uint64_t messages() const { return answered_; }
    std::uint64_t bytes() const { return bytes_; }
    std::uint64_t under_way() const { return sent_ - settled_; }

    /// Set when nothing is under way after `drain` was called, and before that when there have been as many
    /// answers as `aim` has said.
    event& enough() { return enough_; }
    /// 0: no number of answers is enough.
    void aim(std::uint64_t answers) {
        target_ = answers;
        enough_.clear();
        settle(0);
    }
    bool is_enough() const { return enough_.is_set(); }
    void drain() {
        draining_ = true;
        enough_.clear();
        if (under_way() == 0) enough_.set();
    }

    /// From when messages were due; those of a closed loop have no corrected latency apart from the
    /// uncorrected, which is left empty.
    Histogram& corrected() { return corrected_; }
    Histogram& uncorrected() { return uncorrected_; }

  private:
    void settle(std::uint64_t messages) {
        settled_ += messages;
        if (draining_ ? under_way() == 0 : target_ != 0 && answered_ >= target_) enough_.set();
    }

    const bool is_open_loop_;
    std::uint64_t target_ = 0, sent_ = 0, answered_ = 0, settled_ = 0, bytes_ = 0;
    Instant from_ = never;
    bool draining_ = false;
    event enough_;
    Histogram corrected_, uncorrected_;
};

}  // namespace confab::load
