// Internal to clients: bytes that say where they belong.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "reactor/operation.hpp"

namespace confab::load {

/// What an echo server is sent: one fixed run of random bytes, repeated for ever, of which each message takes
/// the next piece. Nothing is made up or copied for a message, any number of messages in a row is one piece
/// of memory, and the answer is compared with where it must come from.
///
/// The period is a prime, so unless a message's size is a multiple of it, which is not allowed, each message
/// of a whole period (65521) begins somewhere else: eight bytes of one tell which it is. Immutable: any
/// thread.
class Pattern {
  public:
    static constexpr std::size_t period = 65'521;

    using Transform = void (*)(LentBytes);
    /// `longest`: bytes that `sent` and `expected` may give in one piece. `transform`: what the server makes
    /// of what it gets; null: nothing.
    Pattern(std::size_t longest, Transform transform);

    /// The bytes to send from `place` (below `period`) on. Requires: size <= longest.
    Bytes sent(std::size_t place, std::size_t size) const {
        return std::as_bytes(std::span(sent_)).subspan(place, size);
    }
    /// What comes back for them.
    Bytes expected(std::size_t place, std::size_t size) const {
        return std::as_bytes(std::span(expected_)).subspan(place, size);
    }
    std::size_t longest() const { return sent_.size() - period; }

    /// Where in the expected bytes `bytes` begin; nothing when they occur nowhere. Slow.
    std::optional<std::size_t> find(Bytes bytes) const;

  private:
    std::vector<std::byte> sent_, expected_;
};

}  // namespace confab::load
