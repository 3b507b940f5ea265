// Internal to server: the last messages of a room.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "server/chat/entry.hpp"
#include "server/chat/record.hpp"

namespace confab::chat {

/// A bounded log: the oldest messages make way for new ones. Empty, it holds no memory.
class History {
  public:
    struct Bounds {
        std::size_t messages;
        std::size_t bytes;  ///< what `memory` may come to; a smaller message is always kept
        bool may_grow;      ///< false: makes do with the memory it has
    };

    /// Appends a numbered entry, and drops the oldest as the bounds have it.
    void add(const Entry& entry, const Bounds& bounds);

    std::size_t messages() const { return messages_; }
    std::size_t memory() const { return ring_.capacity(); }

    /// The bytes of the last `count` messages, oldest first, for take_record.
    std::vector<std::byte> last(std::size_t count) const;

  private:
    void drop_oldest();
    void grow(std::size_t capacity);

    ByteRing ring_;
    std::uint64_t head_ = 0;
    std::uint64_t tail_ = 0;
    std::size_t messages_ = 0;
};

}  // namespace confab::chat
