// Public: a protocol, as the chat sees it - something that turns events into bytes.
#pragma once

#include <cstdint>
#include <string_view>

#include "reactor/shared_bytes.hpp"
#include "server/chat/entry.hpp"

namespace confab::chat {

/// Something that one member is told, and that is no event of a room.
struct Notice {
    enum class Kind : std::uint8_t {
        missed_messages,  ///< `count` messages of `room` were skipped; 0: at most who came and went
        missed_tells,     ///< `count` private messages were skipped
        too_slow,         ///< dropped for not reading
        idle,             ///< dropped for silence
        going_down,       ///< the server is
    };
    Kind kind;
    std::uint64_t count = 0;
    std::string_view room{};
};

/// Stateless: one object serves all members of all threads.
class Face {
  public:
    Face() = default;
    Face(const Face&) = delete;
    Face& operator=(const Face&) = delete;
    virtual ~Face() = default;

    /// `entry` as bytes, packed into `arena`. `room` is the name of its room, empty for a private message.
    virtual SharedBytes encode(const Entry& entry, std::string_view room, Arena& arena) const = 0;
    virtual SharedBytes encode(const Notice& notice) const = 0;
};

}  // namespace confab::chat
