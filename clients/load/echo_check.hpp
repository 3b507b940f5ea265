// Internal to clients: whether what came back on a connection is what was sent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <vector>

#include "clients/load/faults.hpp"
#include "clients/load/pattern.hpp"

namespace confab::load {

/// Follows one connection's answers through the pattern. As long as all is well that is a comparison of
/// memory. From the first difference on it cuts what comes into messages, and finds out of each which it is:
/// the next (well), one further on (those between are missing), one that was missing (reordered), one that
/// had come (doubled), or none (corrupted). Messages of less than 8 bytes do not say which they are: what
/// differs there counts as corrupted.
class EchoCheck {
  public:
    /// The first message of `size` bytes begins at `place`. `pattern` outlives this.
    EchoCheck(const Pattern& pattern, std::size_t size, std::size_t place)
        : pattern_(pattern), size_(size), place_(place) {}

    /// Takes what came, while `under_way` messages were unanswered. Gives how many of those are answered now,
    /// or are missing because a later one was: never more than `under_way`.
    std::size_t take(Bytes bytes, std::size_t under_way);

    /// The messages that were missing and have not come.
    std::uint64_t missing() const { return trouble_ ? trouble_->missing.size() : 0; }
    /// What else was wrong.
    const Faults& faults() const { return trouble_ ? trouble_->faults : none; }

    /// Where in the pattern the next byte to come should be from.
    std::size_t place() const { return place_; }

  private:
    static const Faults none;
    static constexpr std::size_t telling_size = 8;
    // Of those missing longer than for so many messages the oldest are given up on for good.
    static constexpr std::size_t missing_limit = 4096;

    // What a connection needs only once something has gone wrong.
    struct Trouble {
        Faults faults;
        std::vector<std::byte> message;        // what has come of the one that is coming
        std::set<std::uint64_t> missing;       // their numbers, counted from the first difference
        std::uint64_t next = Pattern::period;  // the number of the next one to come
    };

    std::size_t take_carefully(Bytes bytes, std::size_t under_way);
    std::size_t take_message(std::size_t under_way);
    std::size_t skip(std::size_t count);
    std::int64_t distance_to(std::size_t place) const;
    static std::size_t step_back(std::size_t place, std::size_t size);

    const Pattern& pattern_;
    const std::size_t size_;
    std::size_t place_;        // of the next byte to come; while there is trouble, of the message that comes
    std::size_t partial_ = 0;  // bytes of a message that has not come whole
    std::unique_ptr<Trouble> trouble_;
};

}  // namespace confab::load
