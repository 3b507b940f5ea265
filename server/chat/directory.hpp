// Internal to server: who is here, and where - in memory that all processes share.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "reactor/clock.hpp"
#include "server/chat/entry.hpp"
#include "server/chat/history.hpp"
#include "server/chat/name_index.hpp"
#include "server/chat/names.hpp"
#include "server/chat/table.hpp"

namespace confab::chat {

/// A member as all reactors see him.
struct DirectoryMember {
    IndexedName nick;
    std::uint32_t tenant;
    std::uint32_t tells;  ///< private messages sent to him so far
    Slot first_seat;
    Slot reader;  ///< of his reactor; no_slot exactly when he has left
    Slot next_free;
};

/// A member's being in a room: a link in the lists of both.
struct DirectorySeat {
    Slot member;
    RoomId room;
    Slot next_of_member;
    Slot next_in_room;
    Slot previous_in_room;
    Slot next_free;
};

/// A reader's having members in a room: a link in the lists of both.
struct DirectoryAudience {
    Slot reader;
    RoomId room;
    std::uint32_t members;
    Slot next_in_room;
    Slot previous_in_room;
    Slot next_of_reader;
    Slot previous_of_reader;
    Slot next_free;
};

/// A room: a log with the last of it in memory, and the members.
struct DirectoryRoom {
    IndexedName name;
    Position last;  ///< of the last message
    RoomHistory history;
    std::uint32_t members;
    Slot first_seat;
    Slot first_audience;  ///< the readers that have members here
    Instant empty_since;
    RoomId newer_empty;  ///< neighbours in the list of empty rooms
    RoomId older_empty;
    Slot next_free;
};

struct DirectoryTopic {
    static constexpr std::size_t capacity = 1022;
    std::uint16_t size;
    std::array<char, capacity> text;

    std::string_view view() const { return {text.data(), size}; }
};

/// Where a directory lies. Made of zeros, to be founded.
struct DirectoryMemory {
    struct Head {
        Pool<DirectoryMember>::Head members;
        Pool<DirectorySeat>::Head seats;
        Pool<DirectoryAudience>::Head audiences;
        Pool<DirectoryRoom>::Head rooms;
        Pool<HistoryBlock>::Head blocks;
        struct Empty {
            RoomId newest;
            RoomId oldest;
        } empty;  ///< rooms without members
        struct Counters {
            std::uint64_t next_epoch;
            std::uint64_t guests;
        } counters;
        NameIndex<DirectoryMember, &DirectoryMember::nick>::Head nicks;
        NameIndex<DirectoryRoom, &DirectoryRoom::name>::Head room_names;
    };
    Head& head;
    std::span<DirectoryMember> members;
    std::span<DirectorySeat> seats;
    std::span<DirectoryAudience> audiences;
    std::span<Slot> first_audiences;  ///< of each reader
    std::span<DirectoryRoom> rooms;
    std::span<DirectoryTopic> topics;  ///< of each room
    std::span<HistoryBlock> blocks;
    std::span<Slot> nick_buckets;
    std::span<Slot> room_buckets;
};

/// The members, the rooms and who sits where. Every step costs the same however many there are, except the
/// lists that are asked for. It changes nothing but through the journal, and commits where it says so.
///
/// Requires: the lock that guards it.
class Directory {
  public:
    /// `empty_room_kept`: how long a room without members may be remembered.
    Directory(const DirectoryMemory& memory, Journal& journal, Duration empty_room_kept);

    /// Opens the lobby. Once for each memory. `first_epoch`: rooms are given epochs from here on.
    void found(std::uint64_t first_epoch);

    /// The room where everybody comes in; it is never forgotten.
    static constexpr RoomId lobby = 0;

    // Readers.

    /// Before a reader has members.
    void add_reader(Slot reader) { first_audiences_.change(reader) = no_slot; }

    // Members.

    /// A new member with a guest's nick and in no room; one that is nowhere when there are as many as can be.
    MemberId add_member(Slot reader);
    /// Requires: he is here and in no room.
    void remove_member(MemberId id);
    /// nullptr when he has left.
    const DirectoryMember* member(MemberId id) const;
    const DirectoryMember& member_at(Slot slot) const { return members_[slot]; }
    void count_tell(MemberId id) { ++members_.change(id.slot, &DirectoryMember::tells); }
    /// Whoever has this nick; a member that is nowhere when nobody has.
    MemberId find_member(std::string_view nick) const;
    /// False: somebody else has that nick. Requires: he is here.
    bool rename(MemberId id, const Name& nick);
    /// Some member of that reader, looked for among the slots from `from` on, which is moved to his; a member
    /// that is nowhere when there is none.
    MemberId member_of(Slot reader, Slot& from) const;

    // Rooms.

    RoomId find_room(std::string_view name) const { return room_names_.find(name); }
    /// Opens a room that does not exist; no_room when there are too many. To be called with nothing else
    /// changed: it forgets what has been empty for too long, or longest if need be, and commits that.
    RoomId open_room(const Name& name, Instant now);
    const DirectoryRoom& room(RoomId id) const { return rooms_[id]; }
    std::string_view topic(RoomId id) const { return topics_[id].view(); }
    void set_topic(RoomId id, std::string_view topic);
    /// Numbers a message. Requires: the room is open.
    Position next_position(RoomId id);
    /// Before a message is numbered and remembered: frees the memory for it, at the cost of empty rooms. To
    /// be called with nothing else changed: it commits each.
    void make_room_for(const Entry& entry);
    /// Keeps `entry`, which is numbered, in the history of its room.
    void remember(const Entry& entry, const History::Bounds& bounds);
    std::optional<Position> find(RoomId id, std::uint64_t once) const {
        return history_.find(rooms_[id].history, once);
    }
    std::vector<std::byte> recall(RoomId id, std::size_t count) const {
        return history_.last(rooms_[id].history, count);
    }
    /// Names and numbers of members of the rooms with any.
    struct Listed {
        Name name;
        std::uint32_t members;
    };
    std::vector<Listed> list_rooms() const;

    // Seats.

    /// Requires: not in there yet, and in fewer rooms than there are seats for each member.
    void sit_down(MemberId id, RoomId room);
    /// Requires: in there. The room stays, empty or not.
    void stand_up(MemberId id, RoomId room, Instant now);
    bool sits_in(MemberId id, RoomId room) const;
    /// He and his seats belong to another reader from here on.
    void move_member(MemberId id, Slot reader);
    std::vector<RoomId> rooms_of(MemberId id) const;
    /// Nicks in a room, at most `count`.
    std::vector<Name> nicks_in(RoomId room, std::size_t count) const;

    /// Calls `what(reader)` for every reader with members in the room.
    template <class What>
    void for_readers_in(RoomId room, What what) const {
        for (Slot at = rooms_[room].first_audience; at != no_slot; at = audiences_[at].next_in_room)
            what(audiences_[at].reader);
    }

  private:
    Slot audience(RoomId room, Slot reader) const;
    void count_in(RoomId room, Slot reader);
    void count_out(RoomId room, Slot reader);
    void note_empty(RoomId id, Instant now);
    void note_inhabited(RoomId id);
    void forget(RoomId id);

    DirectoryMemory::Head& head_;
    Journal& journal_;
    const Duration empty_room_kept_;
    Pool<DirectoryMember> members_;
    Pool<DirectorySeat> seats_;
    Pool<DirectoryAudience> audiences_;
    Table<Slot> first_audiences_;
    Pool<DirectoryRoom> rooms_;
    Table<DirectoryTopic> topics_;
    History history_;
    NameIndex<DirectoryMember, &DirectoryMember::nick> nicks_;
    NameIndex<DirectoryRoom, &DirectoryRoom::name> room_names_;
};

}  // namespace confab::chat
