#include "server/chat/directory.hpp"

#include <algorithm>
#include <cassert>
#include <string>

namespace confab::chat {

static_assert(no_room == no_slot && MemberId{}.slot == no_slot);

Directory::Directory(const DirectoryMemory& memory, Journal& journal, Duration empty_room_kept)
    : head_(memory.head),
      journal_(journal),
      empty_room_kept_(empty_room_kept),
      members_(memory.members, head_.members, journal),
      seats_(memory.seats, head_.seats, journal),
      audiences_(memory.audiences, head_.audiences, journal),
      first_audiences_(memory.first_audiences, journal),
      rooms_(memory.rooms, head_.rooms, journal),
      topics_(memory.topics, journal),
      history_(memory.blocks, head_.blocks, journal),
      nicks_(head_.nicks, memory.nick_buckets, members_, journal),
      room_names_(head_.room_names, memory.room_buckets, rooms_, journal) {}

void Directory::found(std::uint64_t first_epoch) {
    journal_.change(head_.empty) = {.newest = no_room, .oldest = no_room};
    journal_.change(head_.counters).next_epoch = first_epoch;
    open_room(Name("lobby"), Instant());
}

MemberId Directory::add_member(Slot reader) {
    const Slot slot = members_.take();
    if (slot == no_slot) return {};
    DirectoryMember& member = members_.change(slot);
    member.tells = 0;
    member.first_seat = no_slot;
    member.reader = reader;
    nicks_.insert(slot, Name("guest-" + std::to_string(++journal_.change(head_.counters).guests)));
    return {.slot = slot, .tenant = member.tenant};
}

void Directory::remove_member(MemberId id) {
    DirectoryMember& leaving = members_.change(id.slot);
    assert(leaving.tenant == id.tenant && leaving.reader != no_slot && leaving.first_seat == no_slot);
    nicks_.erase(id.slot);
    leaving.reader = no_slot;
    ++leaving.tenant;
    members_.give_back(id.slot);
}

const DirectoryMember* Directory::member(MemberId id) const {
    if (id.slot >= members_.end()) return nullptr;
    const DirectoryMember& member = members_[id.slot];
    return member.tenant == id.tenant && member.reader != no_slot ? &member : nullptr;
}

MemberId Directory::find_member(std::string_view nick) const {
    const Slot slot = nicks_.find(nick);
    if (slot == no_slot) return {};
    return {.slot = slot, .tenant = members_[slot].tenant};
}

bool Directory::rename(MemberId id, const Name& nick) {
    const MemberId holder = find_member(nick.view());
    if (holder.slot != no_slot && holder != id) return false;
    nicks_.erase(id.slot);
    nicks_.insert(id.slot, nick);
    return true;
}

MemberId Directory::member_of(Slot reader, Slot& from) const {
    for (; from < members_.end(); ++from) {
        if (members_[from].reader == reader) return {.slot = from, .tenant = members_[from].tenant};
    }
    return {};
}

RoomId Directory::open_room(const Name& name, Instant now) {
    while (head_.empty.oldest != no_room &&
           (after(rooms_[head_.empty.oldest].empty_since, empty_room_kept_) <= now)) {
        forget(head_.empty.oldest);
        journal_.commit();
    }
    if (rooms_.available() == 0) {
        if (head_.empty.oldest == no_room) return no_room;
        forget(head_.empty.oldest);
        journal_.commit();
    }
    const RoomId id = rooms_.take();
    rooms_.change(id) = {.name = {},
                         .last = {.epoch = journal_.change(head_.counters).next_epoch++, .seq = 0},
                         .history = {},
                         .members = 0,
                         .first_seat = no_slot,
                         .first_audience = no_slot,
                         .empty_since = now,
                         .newer_empty = no_room,
                         .older_empty = no_room,
                         .next_free = no_slot};
    topics_.change(id).size = 0;
    room_names_.insert(id, name);
    note_empty(id, now);
    return id;
}

void Directory::set_topic(RoomId id, std::string_view topic) {
    DirectoryTopic& changed = topics_.change(id);
    changed.size = static_cast<std::uint16_t>(topic.copy(changed.text.data(), changed.text.size()));
}

Position Directory::next_position(RoomId id) {
    Position& last = rooms_.change(id, &DirectoryRoom::last);
    ++last.seq;
    return last;
}

void Directory::make_room_for(const Entry& entry) {
    while (head_.empty.oldest != no_room && history_.is_short_of(rooms_[entry.room].history, entry)) {
        forget(head_.empty.oldest);
        journal_.commit();
    }
}

void Directory::remember(const Entry& entry, const History::Bounds& bounds) {
    history_.add(rooms_.change(entry.room, &DirectoryRoom::history), entry, bounds);
}

std::vector<Directory::Listed> Directory::list_rooms() const {
    std::vector<Listed> listed;
    for (RoomId id = 0; id < rooms_.end(); ++id) {
        const DirectoryRoom& room = rooms_[id];
        if (room.members > 0) listed.push_back({.name = room.name.name, .members = room.members});
    }
    return listed;
}

void Directory::sit_down(MemberId id, RoomId room_id) {
    assert(!sits_in(id, room_id));
    const Slot taken = seats_.take();
    assert(taken != no_slot);
    DirectoryMember& sitter = members_.change(id.slot);
    if (rooms_[room_id].members == 0) note_inhabited(room_id);
    DirectoryRoom& there = rooms_.change(room_id);
    ++there.members;
    if (there.first_seat != no_slot) seats_.change(there.first_seat).previous_in_room = taken;
    seats_.change(taken) = {.member = id.slot,
                            .room = room_id,
                            .next_of_member = sitter.first_seat,
                            .next_in_room = there.first_seat,
                            .previous_in_room = no_slot,
                            .next_free = no_slot};
    sitter.first_seat = there.first_seat = taken;
    count_in(room_id, sitter.reader);
}

void Directory::stand_up(MemberId id, RoomId room_id, Instant now) {
    const Slot reader = members_[id.slot].reader;
    Slot left = members_[id.slot].first_seat;
    Slot before = no_slot;
    for (; seats_[left].room != room_id; left = seats_[left].next_of_member) before = left;
    const DirectorySeat seat = seats_[left];
    if (before == no_slot) {
        members_.change(id.slot, &DirectoryMember::first_seat) = seat.next_of_member;
    } else {
        seats_.change(before).next_of_member = seat.next_of_member;
    }
    DirectoryRoom& there = rooms_.change(room_id);
    if (seat.next_in_room != no_slot)
        seats_.change(seat.next_in_room).previous_in_room = seat.previous_in_room;
    if (seat.previous_in_room == no_slot) {
        there.first_seat = seat.next_in_room;
    } else {
        seats_.change(seat.previous_in_room).next_in_room = seat.next_in_room;
    }
    seats_.give_back(left);
    count_out(room_id, reader);
    if (--there.members == 0) note_empty(room_id, now);
}

bool Directory::sits_in(MemberId id, RoomId room_id) const {
    Slot seat = members_[id.slot].first_seat;
    while (seat != no_slot && seats_[seat].room != room_id) seat = seats_[seat].next_of_member;
    return seat != no_slot;
}

void Directory::move_member(MemberId id, Slot reader) {
    const Slot before = members_[id.slot].reader;
    for (Slot seat = members_[id.slot].first_seat; seat != no_slot; seat = seats_[seat].next_of_member) {
        count_in(seats_[seat].room, reader);
        count_out(seats_[seat].room, before);
    }
    members_.change(id.slot, &DirectoryMember::reader) = reader;
}

std::vector<RoomId> Directory::rooms_of(MemberId id) const {
    std::vector<RoomId> rooms;
    for (Slot seat = members_[id.slot].first_seat; seat != no_slot; seat = seats_[seat].next_of_member)
        rooms.push_back(seats_[seat].room);
    return rooms;
}

std::vector<Name> Directory::nicks_in(RoomId room_id, std::size_t count) const {
    std::vector<Name> nicks;
    nicks.reserve(std::min<std::size_t>(count, rooms_[room_id].members));
    for (Slot seat = rooms_[room_id].first_seat; seat != no_slot && nicks.size() < count;
         seat = seats_[seat].next_in_room) {
        nicks.push_back(members_[seats_[seat].member].nick.name);
    }
    return nicks;
}

// Along both lists at once: with few reactors the room's is short, with one for each connection the reader's.
Slot Directory::audience(RoomId room, Slot reader) const {
    Slot of_room = rooms_[room].first_audience;
    Slot of_reader = first_audiences_[reader];
    while (of_room != no_slot && of_reader != no_slot) {
        if (audiences_[of_room].reader == reader) return of_room;
        if (audiences_[of_reader].room == room) return of_reader;
        of_room = audiences_[of_room].next_in_room;
        of_reader = audiences_[of_reader].next_of_reader;
    }
    return no_slot;
}

// There is an audience to be had: it takes a seat to need one.
void Directory::count_in(RoomId room_id, Slot reader) {
    if (const Slot known = audience(room_id, reader); known != no_slot) {
        ++audiences_.change(known).members;
        return;
    }
    const Slot added = audiences_.take();
    Slot& first_in_room = rooms_.change(room_id, &DirectoryRoom::first_audience);
    Slot& first_of_reader = first_audiences_.change(reader);
    audiences_.change(added) = {.reader = reader,
                                .room = room_id,
                                .members = 1,
                                .next_in_room = first_in_room,
                                .previous_in_room = no_slot,
                                .next_of_reader = first_of_reader,
                                .previous_of_reader = no_slot,
                                .next_free = no_slot};
    if (first_in_room != no_slot) audiences_.change(first_in_room).previous_in_room = added;
    if (first_of_reader != no_slot) audiences_.change(first_of_reader).previous_of_reader = added;
    first_in_room = first_of_reader = added;
}

void Directory::count_out(RoomId room_id, Slot reader) {
    const Slot found = audience(room_id, reader);
    if (--audiences_.change(found).members > 0) return;
    const DirectoryAudience gone = audiences_[found];
    if (gone.next_in_room != no_slot)
        audiences_.change(gone.next_in_room).previous_in_room = gone.previous_in_room;
    if (gone.previous_in_room == no_slot) {
        rooms_.change(room_id, &DirectoryRoom::first_audience) = gone.next_in_room;
    } else {
        audiences_.change(gone.previous_in_room).next_in_room = gone.next_in_room;
    }
    if (gone.next_of_reader != no_slot)
        audiences_.change(gone.next_of_reader).previous_of_reader = gone.previous_of_reader;
    if (gone.previous_of_reader == no_slot) {
        first_audiences_.change(reader) = gone.next_of_reader;
    } else {
        audiences_.change(gone.previous_of_reader).next_of_reader = gone.next_of_reader;
    }
    audiences_.give_back(found);
}

void Directory::note_empty(RoomId id, Instant now) {
    if (id == lobby) return;
    DirectoryMemory::Head::Empty& list = journal_.change(head_.empty);
    DirectoryRoom& empty = rooms_.change(id);
    empty.empty_since = now;
    empty.newer_empty = no_room;
    empty.older_empty = list.newest;
    if (list.newest == no_room) {
        list.oldest = id;
    } else {
        rooms_.change(list.newest).newer_empty = id;
    }
    list.newest = id;
}

void Directory::note_inhabited(RoomId id) {
    if (id == lobby) return;
    DirectoryMemory::Head::Empty& list = journal_.change(head_.empty);
    const DirectoryRoom& room = rooms_[id];
    if (room.newer_empty == no_room) {
        list.newest = room.older_empty;
    } else {
        rooms_.change(room.newer_empty).older_empty = room.older_empty;
    }
    if (room.older_empty == no_room) {
        list.oldest = room.newer_empty;
    } else {
        rooms_.change(room.older_empty).newer_empty = room.newer_empty;
    }
}

void Directory::forget(RoomId id) {
    note_inhabited(id);
    room_names_.erase(id);
    history_.clear(rooms_.change(id, &DirectoryRoom::history));
    // Whoever remembers it takes it for another one: no epoch is given twice.
    rooms_.change(id, &DirectoryRoom::last) = {};
    rooms_.give_back(id);
}

}  // namespace confab::chat
