// Internal to server: who is here, and where.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "server/chat/bus.hpp"
#include "server/chat/entry.hpp"
#include "server/chat/history.hpp"
#include "server/chat/names.hpp"

namespace confab::chat {

/// Names to slots: a hash table without nodes, 8 bytes a place and at most three quarters full.
class NameIndex {
  public:
    static constexpr std::uint32_t nobody = 0xFFFFFFFF;

    /// The slot whose name, as `name_of(slot)` has it, is the same as `name`; nobody when there is none.
    template <class NameOf>
    std::uint32_t find(std::string_view name, NameOf name_of) const {
        if (places_.empty()) return nobody;
        const std::uint32_t hash = name_hash(name);
        for (std::size_t at = hash & mask(); places_[at].slot != nobody; at = (at + 1) & mask()) {
            if (places_[at].hash == hash && same_name(name_of(places_[at].slot), name))
                return places_[at].slot;
        }
        return nobody;
    }
    void insert(std::string_view name, std::uint32_t slot);
    /// Requires: inserted.
    void erase(std::string_view name, std::uint32_t slot);

  private:
    struct Place {
        std::uint32_t hash = 0;
        std::uint32_t slot = nobody;
    };
    std::size_t mask() const { return places_.size() - 1; }
    void put(Place place);

    std::vector<Place> places_;  // a power of two of them
    std::size_t used_ = 0;
};

/// A member as all reactors see him.
struct DirectoryMember {
    Name nick;
    std::uint32_t tenant = 0;
    std::uint32_t tells = 0;                       ///< private messages sent to him so far
    std::uint32_t first_seat = NameIndex::nobody;  ///< in the free list: the next free slot
    BusReader* reader = nullptr;                   ///< of his reactor; null exactly when the slot is free
};

/// A member's being in a room: a link in the lists of both. Slots of seats, NameIndex::nobody for none.
struct DirectorySeat {
    std::uint32_t member = 0;
    RoomId room = 0;
    std::uint32_t next_of_member = NameIndex::nobody;  ///< in the free list: the next free one
    std::uint32_t next_in_room = NameIndex::nobody;
    std::uint32_t previous_in_room = NameIndex::nobody;
};

/// A room: a log with the last of it in memory, and the members.
struct DirectoryRoom {
    struct Audience {
        BusReader* reader;
        std::uint32_t members;
    };

    Name name;
    bool open = false;
    Position last;  ///< of the last message
    std::string topic;
    History history;
    std::vector<Audience> audiences;  ///< the readers that have members here
    std::uint32_t members = 0;
    std::uint32_t first_seat = NameIndex::nobody;
    Instant empty_since;
    RoomId newer_empty = no_room;  ///< neighbours in the list of empty rooms
    RoomId older_empty = no_room;
};

/// The members, the rooms and who sits where. Every step costs the same however many there are, except the
/// lists that are asked for. Plain memory: whoever owns it locks it.
class Directory {
  public:
    struct Bounds {
        std::size_t rooms;
        std::size_t history_bytes;
        Duration empty_room_kept;
    };

    /// `first_epoch`: rooms are given epochs from here on.
    Directory(const Bounds& bounds, std::uint64_t first_epoch);

    /// The room where everybody comes in; it is never forgotten.
    static constexpr RoomId lobby = 0;

    // Members.

    /// A new member with a guest's nick and in no room.
    MemberId add_member(BusReader& reader);
    /// Requires: he is here and in no room.
    void remove_member(MemberId id);
    /// nullptr when he has left.
    DirectoryMember* member(MemberId id);
    DirectoryMember& member_at(std::uint32_t slot) { return members_[slot]; }
    /// Whoever has this nick; a member that is nowhere when nobody has.
    MemberId find_member(std::string_view nick) const;
    /// False: somebody else has that nick. Requires: he is here.
    bool rename(MemberId id, const Name& nick);

    // Rooms.

    RoomId find_room(std::string_view name) const;
    /// Opens a room that does not exist, forgetting empty ones if need be; no_room when there are too many.
    RoomId open_room(const Name& name, Instant now);
    DirectoryRoom& room(RoomId id) { return rooms_[id]; }
    const DirectoryRoom& room(RoomId id) const { return rooms_[id]; }
    /// Keeps `entry`, which is numbered, in the history of its room.
    void remember(const Entry& entry, const History::Bounds& bounds);
    /// Names and numbers of members of the rooms with any.
    struct Listed {
        Name name;
        std::uint32_t members;
    };
    std::vector<Listed> list_rooms() const;

    // Seats.

    /// Requires: not in there yet.
    void sit_down(MemberId id, RoomId room);
    /// Requires: in there. The room stays, empty or not.
    void stand_up(MemberId id, RoomId room, Instant now);
    bool sits_in(MemberId id, RoomId room) const;
    std::vector<RoomId> rooms_of(MemberId id) const;
    /// Nicks in a room, at most `count`.
    std::vector<Name> nicks_in(RoomId room, std::size_t count) const;

  private:
    std::uint32_t take_seat();
    void count_in(DirectoryRoom& room, BusReader& reader);
    void count_out(DirectoryRoom& room, BusReader& reader);
    void note_empty(RoomId id, Instant now);
    void note_inhabited(RoomId id);
    void forget(RoomId id);

    Bounds bounds_;
    std::deque<DirectoryMember> members_;
    std::deque<DirectorySeat> seats_;
    std::deque<DirectoryRoom> rooms_;
    NameIndex nicks_;
    NameIndex room_names_;
    std::uint32_t free_member_ = NameIndex::nobody;
    std::uint32_t free_seat_ = NameIndex::nobody;
    std::vector<RoomId> free_rooms_;
    RoomId newest_empty_ = no_room;
    RoomId oldest_empty_ = no_room;
    std::size_t history_bytes_ = 0;
    std::uint64_t next_epoch_;
    std::uint64_t guests_ = 0;
};

}  // namespace confab::chat
