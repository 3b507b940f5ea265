#include "server/chat/chat.hpp"

#include <algorithm>
#include <bit>
#include <chrono>

namespace confab::chat {

namespace {

// A record is at most an eighth of the ring, and it takes a few hundred of the longest to make waiting worth
// while.
std::size_t bus_capacity(const Limits& limits) {
    return std::bit_ceil(std::max(limits.bus_bytes, 64 * limits.line_length));
}

}  // namespace

Chat::Chat(const Limits& limits, std::uint64_t first_epoch)
    : limits_(limits),
      bus_(bus_capacity(limits)),
      directory_({.rooms = limits.rooms,
                  .history_bytes = limits.history_bytes_in_all,
                  .empty_room_kept = limits.empty_room_kept},
                 first_epoch) {}

std::uint64_t Chat::epoch_of_now() {
    const auto since_1970 = std::chrono::system_clock::now().time_since_epoch();
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(since_1970).count());
}

void Chat::attach(BusReader& reader) {
    const MutexLock lock{mutex_};
    bus_.attach(reader);
}

void Chat::detach(BusReader& reader) {
    const MutexLock lock{mutex_};
    bus_.detach(reader);
    bus_.wake_readers();
}

Bus::Read Chat::read(BusReader& reader, std::span<std::byte> into) {
    const MutexLock lock{mutex_};
    const Bus::Read read = bus_.read(reader, into);
    bus_.wake_readers();
    return read;
}

void Chat::skip_ahead(BusReader& reader, std::span<RoomNow> rooms, std::span<MemberNow> members) {
    const MutexLock lock{mutex_};
    bus_.skip_ahead(reader);
    bus_.wake_readers();
    for (RoomNow& room : rooms) room.last = directory_.room(room.room).last;
    for (MemberNow& member : members) member.tells = directory_.member_at(member.member.slot).tells;
}

std::uint64_t Chat::wait_for_room(BusReader& reader) {
    const MutexLock lock{mutex_};
    return bus_.wait_for_room(reader);
}

void Chat::give_up_on_laggards(std::uint64_t shortage) {
    const MutexLock lock{mutex_};
    bus_.give_up_on_laggards(shortage);
    bus_.wake_readers();
}

std::expected<Chat::Entered, Refusal> Chat::enter(BusReader& reader) {
    const MutexLock lock{mutex_};
    if (!Bus::caught_up(reader)) return std::unexpected(Refusal::behind);
    const MemberId id = directory_.add_member(reader);
    return Entered{.id = id,
                   .nick = directory_.member_at(id.slot).nick,
                   .place = sit_down(reader, id, Directory::lobby)};
}

void Chat::leave(BusReader& reader, MemberId id, Reason reason, Instant now) {
    const MutexLock lock{mutex_};
    for (const RoomId room : directory_.rooms_of(id)) stand_up(reader, id, room, reason, now);
    directory_.remove_member(id);
}

std::expected<void, Refusal> Chat::rename(BusReader& reader, MemberId id, const Name& nick) {
    const MutexLock lock{mutex_};
    const Name old = directory_.member_at(id.slot).nick;
    if (!directory_.rename(id, nick)) return std::unexpected(Refusal::nick_taken);
    for (const RoomId room : directory_.rooms_of(id)) {
        if (!announces(room)) continue;
        publish({.kind = Kind::renamed,
                 .room = room,
                 .sender = id,
                 .position = directory_.room(room).last,
                 .nick = old.view(),
                 .text = nick.view()},
                reader);
    }
    return {};
}

std::expected<Place, Refusal> Chat::join(BusReader& reader, MemberId id, const Name& name, Instant now) {
    const MutexLock lock{mutex_};
    if (!Bus::caught_up(reader)) return std::unexpected(Refusal::behind);
    RoomId room = directory_.find_room(name.view());
    if (room == no_room) room = directory_.open_room(name, now);
    if (room == no_room) return std::unexpected(Refusal::too_many_rooms_in_all);
    return sit_down(reader, id, room);
}

std::expected<void, Refusal> Chat::part(BusReader& reader, MemberId id, RoomId room, Instant now) {
    const MutexLock lock{mutex_};
    if (!Bus::caught_up(reader)) return std::unexpected(Refusal::behind);
    stand_up(reader, id, room, Reason::none, now);
    return {};
}

Position Chat::say(BusReader& reader, Kind kind, MemberId id, std::string_view nick, RoomId room_id,
                   std::string_view text) {
    const MutexLock lock{mutex_};
    DirectoryRoom& room = directory_.room(room_id);
    ++room.last.seq;
    const Entry entry{
        .kind = kind, .room = room_id, .sender = id, .position = room.last, .nick = nick, .text = text};
    if (kind == Kind::topic) room.topic = text;
    directory_.remember(
        entry, {.messages = limits_.history_length, .bytes = limits_.history_bytes, .may_grow = true});
    publish(entry, reader);
    return room.last;
}

std::expected<void, Refusal> Chat::tell(BusReader& reader, MemberId id, std::string_view nick,
                                        std::string_view target, std::string_view text) {
    const MutexLock lock{mutex_};
    const MemberId target_id = directory_.find_member(target);
    DirectoryMember* const member = directory_.member(target_id);
    if (member == nullptr) return std::unexpected(Refusal::no_such_member);
    ++member->tells;
    const std::uint64_t place =
        bus_.append({.kind = Kind::told, .sender = id, .target = target_id, .nick = nick, .text = text});
    bus_.offer(*member->reader, place, reader);
    return {};
}

Roll Chat::who(RoomId room, std::size_t most) {
    const MutexLock lock{mutex_};
    return roll(room, most);
}

std::expected<Roll, Refusal> Chat::who(std::string_view name, std::size_t most) {
    const MutexLock lock{mutex_};
    const RoomId room = directory_.find_room(name);
    if (room == no_room || directory_.room(room).members == 0) return std::unexpected(Refusal::no_such_room);
    return roll(room, most);
}

Roll Chat::roll(RoomId room, std::size_t most) const {
    const DirectoryRoom& called = directory_.room(room);
    return {.room = called.name, .members = called.members, .nicks = directory_.nicks_in(room, most)};
}

std::vector<Directory::Listed> Chat::rooms() {
    const MutexLock lock{mutex_};
    return directory_.list_rooms();
}

Place Chat::look(RoomId room) {
    const MutexLock lock{mutex_};
    return place(room);
}

std::expected<Recalled, Refusal> Chat::recall(BusReader& reader, RoomId room_id, std::size_t count) {
    const MutexLock lock{mutex_};
    if (!Bus::caught_up(reader)) return std::unexpected(Refusal::behind);
    const DirectoryRoom& room = directory_.room(room_id);
    return Recalled{.room = room.name,
                    .last = room.last,
                    .messages = std::min(count, room.history.messages()),
                    .records = room.history.last(count)};
}

Place Chat::place(RoomId id) const {
    const DirectoryRoom& room = directory_.room(id);
    return {
        .room = id, .name = room.name, .position = room.last, .members = room.members, .topic = room.topic};
}

bool Chat::announces(RoomId room) const { return directory_.room(room).members <= limits_.announced_members; }

void Chat::publish(const Entry& entry, const BusReader& publisher) {
    const std::uint64_t place = bus_.append(entry);
    for (const DirectoryRoom::Audience& audience : directory_.room(entry.room).audiences) {
        bus_.offer(*audience.reader, place, publisher);
    }
}

Place Chat::sit_down(BusReader& reader, MemberId id, RoomId room_id) {
    directory_.sit_down(id, room_id);
    const DirectoryRoom& room = directory_.room(room_id);
    if (announces(room_id)) {
        publish({.kind = Kind::joined,
                 .room = room_id,
                 .sender = id,
                 .position = room.last,
                 .nick = directory_.member_at(id.slot).nick.view()},
                reader);
    }
    return place(room_id);
}

void Chat::stand_up(BusReader& reader, MemberId id, RoomId room, Reason reason, Instant now) {
    const bool announced = reason != Reason::drain && announces(room);
    directory_.stand_up(id, room, now);
    if (!announced) return;
    publish({.kind = Kind::parted,
             .reason = reason,
             .room = room,
             .sender = id,
             .position = directory_.room(room).last,
             .nick = directory_.member_at(id.slot).nick.view()},
            reader);
}

}  // namespace confab::chat
