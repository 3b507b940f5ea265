// Internal to clients: whether everybody in a room hears the same, in the same order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <set>

#include "clients/load/faults.hpp"

namespace confab::load {

/// One thing that was said: by whom, and his how manieth it was.
struct Saying {
    std::uint32_t speaker;
    std::uint64_t number;
    bool operator==(const Saying&) const = default;
};

/// What a room's witness, a member who is there from the beginning and says nothing, has heard: all that was
/// said, in the room's order. The others, who do not hear themselves, are compared with it.
class RoomLog {
  public:
    void append(const Saying& saying);

    std::uint64_t begin() const { return first_; }
    std::uint64_t end() const { return first_ + sayings_.size(); }
    /// Requires: begin() <= place < end().
    const Saying& at(std::uint64_t place) const { return sayings_[place - first_]; }

  private:
    // Enough for a member to be seconds behind; who is further behind is followed afresh.
    static constexpr std::size_t length_limit = std::size_t{1} << 16U;

    std::deque<Saying> sayings_;
    std::uint64_t first_ = 0;
};

/// One member's way through the log, from the first thing heard on.
class Listening {
  public:
    /// Begins where the log ends now. `speaker`: the member's own number, who is not told what he says; some
    /// servers tell him nevertheless, which is no fault. `log` outlives this.
    Listening(const RoomLog& log, std::uint32_t speaker) : log_(log), speaker_(speaker), place_(log.end()) {}

    /// The member hears `saying`, perhaps before the witness does. Gives whether it is known by now to have
    /// come once more.
    bool hear(const Saying& saying);
    /// The witness has heard more. Gives how many of those that the member had heard before have turned out
    /// to have come once more.
    std::uint64_t catch_up();
    /// True exactly when the member has heard what the witness has not.
    bool is_ahead() const { return !ahead_.empty(); }

    /// What was wrong. `stayed`: the member was there until all had been heard, so what the witness has heard
    /// and this member has not is lost; of one who left in the middle nobody knows what he was still to hear.
    Faults faults(bool stayed = true) const;

  private:
    static constexpr std::size_t recent_limit = 1024;

    void follow();
    bool settle(const Saying& saying);
    std::optional<std::uint64_t> find(const Saying& saying, std::uint64_t from) const;

    const RoomLog& log_;
    const std::uint32_t speaker_;
    std::uint64_t place_;              // of what should come next, or of one's own
    bool begun_ = false;               // true exactly when something has been heard
    std::deque<Saying> ahead_;         // heard, and not in the log yet
    std::set<std::uint64_t> missing_;  // places that were passed over
    Faults faults_;
};

}  // namespace confab::load
