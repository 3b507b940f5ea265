#include "server/chat/directory.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

namespace confab::chat {

namespace {

constexpr std::uint32_t nobody = NameIndex::nobody;

}  // namespace

void NameIndex::put(Place place) {
    std::size_t at = place.hash & mask();
    while (places_[at].slot != nobody) at = (at + 1) & mask();
    places_[at] = place;
}

void NameIndex::insert(std::string_view name, std::uint32_t slot) {
    if (4 * (used_ + 1) > 3 * places_.size()) {
        const std::vector<Place> old =
            std::exchange(places_, std::vector<Place>(std::max<std::size_t>(16, places_.size() * 2)));
        for (const Place& place : old) {
            if (place.slot != nobody) put(place);
        }
    }
    put({.hash = name_hash(name), .slot = slot});
    ++used_;
}

// Closes the hole by moving up those behind it that it kept from their place, so that no marks of the deleted
// pile up.
void NameIndex::erase(std::string_view name, std::uint32_t slot) {
    std::size_t hole = name_hash(name) & mask();
    while (places_[hole].slot != slot) hole = (hole + 1) & mask();
    for (std::size_t at = (hole + 1) & mask(); places_[at].slot != nobody; at = (at + 1) & mask()) {
        const std::size_t from_home = (at - places_[at].hash) & mask();
        const std::size_t from_hole = (at - hole) & mask();
        if (from_home < from_hole) continue;
        places_[hole] = places_[at];
        hole = at;
    }
    places_[hole] = {};
    --used_;
}

Directory::Directory(const Bounds& bounds, std::uint64_t first_epoch)
    : bounds_(bounds), next_epoch_(first_epoch) {
    open_room(Name("lobby"), Instant());
}

MemberId Directory::add_member(BusReader& reader) {
    std::uint32_t slot = free_member_;
    if (slot == nobody) {
        slot = static_cast<std::uint32_t>(members_.size());
        members_.emplace_back();
    } else {
        free_member_ = members_[slot].first_seat;
    }
    DirectoryMember& member = members_[slot];
    member.nick = Name("guest-" + std::to_string(++guests_));
    member.tells = 0;
    member.first_seat = nobody;
    member.reader = &reader;
    nicks_.insert(member.nick.view(), slot);
    return {.slot = slot, .tenant = member.tenant};
}

void Directory::remove_member(MemberId id) {
    DirectoryMember& leaving = members_[id.slot];
    assert(leaving.tenant == id.tenant && leaving.reader != nullptr && leaving.first_seat == nobody);
    nicks_.erase(leaving.nick.view(), id.slot);
    leaving.reader = nullptr;
    ++leaving.tenant;
    leaving.first_seat = free_member_;
    free_member_ = id.slot;
}

DirectoryMember* Directory::member(MemberId id) {
    if (id.slot >= members_.size()) return nullptr;
    DirectoryMember& member = members_[id.slot];
    return member.tenant == id.tenant && member.reader != nullptr ? &member : nullptr;
}

MemberId Directory::find_member(std::string_view nick) const {
    const std::uint32_t slot =
        nicks_.find(nick, [this](std::uint32_t at) { return members_[at].nick.view(); });
    if (slot == nobody) return {};
    return {.slot = slot, .tenant = members_[slot].tenant};
}

bool Directory::rename(MemberId id, const Name& nick) {
    const MemberId holder = find_member(nick.view());
    if (holder.slot != nobody && holder != id) return false;
    Name& name = members_[id.slot].nick;
    nicks_.erase(name.view(), id.slot);
    name = nick;
    nicks_.insert(name.view(), id.slot);
    return true;
}

RoomId Directory::find_room(std::string_view name) const {
    static_assert(no_room == nobody);
    return room_names_.find(name, [this](std::uint32_t at) { return rooms_[at].name.view(); });
}

RoomId Directory::open_room(const Name& name, Instant now) {
    while (oldest_empty_ != no_room &&
           after(rooms_[oldest_empty_].empty_since, bounds_.empty_room_kept) <= now) {
        forget(oldest_empty_);
    }
    if (rooms_.size() - free_rooms_.size() >= bounds_.rooms) {
        if (oldest_empty_ == no_room) return no_room;
        forget(oldest_empty_);
    }
    RoomId id = static_cast<RoomId>(rooms_.size());
    if (free_rooms_.empty()) {
        rooms_.emplace_back();
    } else {
        id = free_rooms_.back();
        free_rooms_.pop_back();
    }
    DirectoryRoom& opened = rooms_[id];
    opened.name = name;
    opened.open = true;
    opened.last = {.epoch = next_epoch_++, .seq = 0};
    room_names_.insert(name.view(), id);
    note_empty(id, now);
    return id;
}

void Directory::remember(const Entry& entry, const History::Bounds& bounds) {
    while (history_bytes_ >= bounds_.history_bytes && oldest_empty_ != no_room) forget(oldest_empty_);
    History& history = rooms_[entry.room].history;
    const std::size_t before = history.memory();
    History::Bounds tight = bounds;
    tight.may_grow = history_bytes_ < bounds_.history_bytes;
    history.add(entry, tight);
    history_bytes_ += history.memory() - before;
}

std::vector<Directory::Listed> Directory::list_rooms() const {
    std::vector<Listed> listed;
    for (const DirectoryRoom& room : rooms_) {
        if (room.members > 0) listed.push_back({.name = room.name, .members = room.members});
    }
    return listed;
}

std::uint32_t Directory::take_seat() {
    const std::uint32_t taken = free_seat_;
    if (taken == nobody) {
        seats_.emplace_back();
        return static_cast<std::uint32_t>(seats_.size() - 1);
    }
    free_seat_ = seats_[taken].next_of_member;
    return taken;
}

void Directory::sit_down(MemberId id, RoomId room_id) {
    assert(!sits_in(id, room_id));
    const std::uint32_t taken = take_seat();
    DirectoryMember& sitter = members_[id.slot];
    DirectoryRoom& there = rooms_[room_id];
    if (there.members++ == 0) note_inhabited(room_id);
    if (there.first_seat != nobody) seats_[there.first_seat].previous_in_room = taken;
    seats_[taken] = {.member = id.slot,
                     .room = room_id,
                     .next_of_member = sitter.first_seat,
                     .next_in_room = there.first_seat,
                     .previous_in_room = nobody};
    sitter.first_seat = there.first_seat = taken;
    count_in(there, *sitter.reader);
}

void Directory::stand_up(MemberId id, RoomId room_id, Instant now) {
    DirectoryMember& sitter = members_[id.slot];
    DirectoryRoom& there = rooms_[room_id];
    std::uint32_t* link = &sitter.first_seat;
    while (seats_[*link].room != room_id) link = &seats_[*link].next_of_member;
    const std::uint32_t left = *link;
    DirectorySeat& seat = seats_[left];
    *link = seat.next_of_member;
    if (seat.next_in_room != nobody) seats_[seat.next_in_room].previous_in_room = seat.previous_in_room;
    (seat.previous_in_room == nobody ? there.first_seat : seats_[seat.previous_in_room].next_in_room) =
        seat.next_in_room;
    seat.next_of_member = free_seat_;
    free_seat_ = left;
    count_out(there, *sitter.reader);
    if (--there.members == 0) note_empty(room_id, now);
}

bool Directory::sits_in(MemberId id, RoomId room_id) const {
    std::uint32_t seat = members_[id.slot].first_seat;
    while (seat != nobody && seats_[seat].room != room_id) seat = seats_[seat].next_of_member;
    return seat != nobody;
}

std::vector<RoomId> Directory::rooms_of(MemberId id) const {
    std::vector<RoomId> rooms;
    for (std::uint32_t seat = members_[id.slot].first_seat; seat != nobody;
         seat = seats_[seat].next_of_member) {
        rooms.push_back(seats_[seat].room);
    }
    return rooms;
}

std::vector<Name> Directory::nicks_in(RoomId room_id, std::size_t count) const {
    std::vector<Name> nicks;
    nicks.reserve(std::min<std::size_t>(count, rooms_[room_id].members));
    for (std::uint32_t seat = rooms_[room_id].first_seat; seat != nobody && nicks.size() < count;
         seat = seats_[seat].next_in_room) {
        nicks.push_back(members_[seats_[seat].member].nick);
    }
    return nicks;
}

void Directory::count_in(DirectoryRoom& there, BusReader& reader) {
    for (DirectoryRoom::Audience& audience : there.audiences) {
        if (audience.reader == &reader) {
            ++audience.members;
            return;
        }
    }
    there.audiences.push_back({.reader = &reader, .members = 1});
}

void Directory::count_out(DirectoryRoom& there, BusReader& reader) {
    const auto found = std::find_if(there.audiences.begin(), there.audiences.end(),
                                    [&](const auto& audience) { return audience.reader == &reader; });
    if (--found->members > 0) return;
    *found = there.audiences.back();
    there.audiences.pop_back();
}

void Directory::note_empty(RoomId id, Instant now) {
    if (id == lobby) return;
    DirectoryRoom& empty = rooms_[id];
    empty.empty_since = now;
    empty.newer_empty = no_room;
    empty.older_empty = newest_empty_;
    (newest_empty_ == no_room ? oldest_empty_ : rooms_[newest_empty_].newer_empty) = id;
    newest_empty_ = id;
}

void Directory::note_inhabited(RoomId id) {
    if (id == lobby) return;
    const DirectoryRoom& room = rooms_[id];
    (room.newer_empty == no_room ? newest_empty_ : rooms_[room.newer_empty].older_empty) = room.older_empty;
    (room.older_empty == no_room ? oldest_empty_ : rooms_[room.older_empty].newer_empty) = room.newer_empty;
}

void Directory::forget(RoomId id) {
    note_inhabited(id);
    room_names_.erase(rooms_[id].name.view(), id);
    history_bytes_ -= rooms_[id].history.memory();
    rooms_[id] = {};
    free_rooms_.push_back(id);
}

}  // namespace confab::chat
