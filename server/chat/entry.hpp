// Public: what happens in the chat, as the bus carries it and faces encode it.
#pragma once

#include <cstdint>
#include <string_view>

namespace confab::chat {

/// Who: a slot in the directory, and which of its tenants. Slots are dense, so that a table is all it takes
/// to find a member again.
struct MemberId {
    std::uint32_t slot = 0xFFFFFFFF;
    std::uint32_t tenant = 0;
    friend bool operator==(MemberId, MemberId) = default;
};

/// A room: a slot in the directory. Together with the epoch it is unique for ever.
using RoomId = std::uint32_t;
inline constexpr RoomId no_room = 0xFFFFFFFF;

/// A place in a room's log. Messages of one epoch are numbered 1, 2, 3...; a room that was forgotten and
/// opened again (or whose server was restarted) has a later epoch, so that nobody takes old numbers for new
/// ones.
struct Position {
    std::uint64_t epoch = 0;
    std::uint64_t seq = 0;
    friend bool operator==(const Position&, const Position&) = default;
};

enum class Kind : std::uint8_t {
    said,
    emote,    ///< /me
    topic,    ///< `text` is the new one
    joined,   ///< from here on: not numbered, not in the history
    parted,   ///< `reason` says why, when it was not by choice
    renamed,  ///< `nick` is the old one, `text` the new one
    told,     ///< a private message to `target`; belongs to no room
};

/// True for the messages: they are numbered and kept in the room's history.
constexpr bool is_numbered(Kind kind) { return kind <= Kind::topic; }

/// Why a member left.
enum class Reason : std::uint8_t {
    none,
    quit,
    lost,
    idle,
    too_slow,
    drain,
    moved,  ///< to another hub: he is still a member, and nobody is told
};

/// One event. The texts belong to whoever hands it out.
struct Entry {
    Kind kind = Kind::said;
    Reason reason = Reason::none;
    RoomId room = no_room;
    MemberId sender{};
    MemberId target{};
    /// In the room's log; for what is not numbered, the last message before it.
    Position position{};
    /// What its sender's client knows it by, so that it is not said twice (Chat::say); 0: nothing.
    std::uint64_t once = 0;
    /// When it was said, by the server's clock: milliseconds since 1970. Of messages and private ones.
    std::uint64_t at_ms = 0;
    std::string_view nick{};  ///< of the sender, at the time
    std::string_view text{};
};

}  // namespace confab::chat
