// Internal to server: the last messages of each room.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "server/chat/entry.hpp"
#include "server/chat/record.hpp"
#include "server/chat/table.hpp"

namespace confab::chat {

/// A room's part: a chain of blocks. Made of zeros it is empty, and then it holds no block.
struct RoomHistory {
    Slot first;
    Slot last;
    std::uint32_t begin;  ///< of the oldest message, in the first block
    std::uint32_t end;    ///< of the newest, in the last block
    std::uint32_t blocks;
    std::uint32_t messages;
};

struct HistoryBlock {
    static constexpr std::size_t capacity = 504;
    Slot next;
    Slot next_free;
    std::array<std::byte, capacity> bytes;
};

/// The histories of all rooms, in blocks that they share: bounded logs, of which the oldest messages make way
/// for new ones.
class History {
  public:
    struct Bounds {
        std::size_t messages;
        std::size_t bytes;  ///< in blocks
    };

    History(std::span<HistoryBlock> blocks, Pool<HistoryBlock>::Head& head, Journal& journal)
        : blocks_(blocks, head, journal) {}

    /// Appends a numbered entry, and drops the oldest as the bounds have it. When there are no more blocks
    /// the room makes do with those it has. A message that does not fit at all is not kept. `room` is being
    /// changed.
    void add(RoomHistory& room, const Entry& entry, const Bounds& bounds);
    /// True when `room` would have to give up old messages for `entry`, since there are no more blocks.
    bool is_short_of(const RoomHistory& room, const Entry& entry) const {
        return blocks_needed(room, Record(entry).size()) > blocks_.available();
    }
    void clear(RoomHistory& room);

    /// The bytes of the last `count` messages, oldest first, for take_record.
    std::vector<std::byte> last(const RoomHistory& room, std::size_t count) const;
    /// Where the message stands that has this `once`; nothing: it is not among those that are kept.
    std::optional<Position> find(const RoomHistory& room, std::uint64_t once) const;
    static std::size_t bytes(const RoomHistory& room) { return room.blocks * sizeof(HistoryBlock); }

  private:
    // A place in a chain.
    struct Place {
        Slot block;
        std::uint32_t offset;
    };
    void read(Place& place, std::span<std::byte> bytes) const;
    void skip(Place& place, std::size_t size) const;
    RecordHeader header_at(Place place) const;
    static std::size_t blocks_needed(const RoomHistory& room, std::size_t size);
    void extend(RoomHistory& room, std::size_t blocks);
    void write(Place& place, std::span<const std::byte> bytes);
    void drop_oldest(RoomHistory& room);

    Pool<HistoryBlock> blocks_;
};

}  // namespace confab::chat
