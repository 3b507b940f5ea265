#include "server/chat/chat.hpp"

#include <algorithm>
#include <chrono>
#include <exception>
#include <stdexcept>
#include <utility>

#include "server/chat/chat_memory_parts.hpp"

namespace confab::chat {

namespace {

// For people and programs to read; nothing is ordered by it.
std::uint64_t wall_clock_ms() {
    const auto since_1970 = std::chrono::system_clock::now().time_since_epoch();
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(since_1970).count());
}

}  // namespace

/// The lock, and the memory whole, to the end of the block. What the block changed stays, unless it ends with
/// an exception.
class CONFAB_SCOPED_CAPABILITY [[nodiscard]] Chat::Held {
  public:
    explicit Held(Chat& chat) CONFAB_ACQUIRE(chat.mutex_) : chat_(chat) {
        chat.mutex_.lock();
        if (chat.mutex_.previous_owner_died()) [[unlikely]]
            chat.recover();
        if (chat.parts_.head.ended_processes.load(std::memory_order_relaxed) != 0) [[unlikely]]
            chat.bury_ended(Clock::now());
    }
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;
    ~Held() CONFAB_RELEASE() CONFAB_NO_THREAD_SAFETY_ANALYSIS {
        if (std::uncaught_exceptions() > exceptions_) {
            chat_.roll_back();
        } else {
            chat_.journal_.commit();
        }
        chat_.bus_.wake_readers();
        chat_.mutex_.unlock();
    }

  private:
    Chat& chat_;
    const int exceptions_ = std::uncaught_exceptions();
};

Chat::Chat(const ChatMemory& memory, std::uint32_t process, bool spans_processes)
    : limits_(memory.limits()),
      parts_(memory.parts()),
      spans_processes_(spans_processes),
      process_(process),
      mutex_(parts_.head.lock),
      journal_(parts_.head.journal),
      bus_(parts_.bus, journal_, process),
      directory_(parts_.directory, journal_, limits_.empty_room_kept) {
    const Held held(*this);
    parts_.buses[process_] = bus_.number();
}

Chat::~Chat() {
    const Held held(*this);
    parts_.buses[process_] = 0;
}

// What a process was at when it was killed has not happened.
void Chat::roll_back() {
    journal_.roll_back();
    bus_.rolled_back();
}

void Chat::recover() {
    roll_back();
    mutex_.recovered();
    bus_.wake_all_active();
}

void Chat::bury_ended(Instant now) {
    std::uint32_t left = parts_.head.ended_processes;
    for (std::uint32_t process = 0; left > 0 && process < parts_.ended.size(); ++process) {
        if (!parts_.ended[process]) continue;
        bury(process, now);
        --left;
    }
}

// What was the lost process's; and the couriers that processes sent out which have ended in peace since: they
// were on their way to the lost one. (Or to another at this very moment: then it costs them their
// connection.) A member at a time, so that whoever is killed over this has buried some. The mark goes last.
void Chat::bury(std::uint32_t process, Instant now) {
    const auto bury_one = [&](Slot slot, const ReaderSlot::Owner& owner) CONFAB_NO_THREAD_SAFETY_ANALYSIS {
        if (owner.process != process && owner.bus == parts_.buses[owner.process]) return;
        Slot from = 0;
        for (MemberId id = directory_.member_of(slot, from); id != MemberId{};
             id = directory_.member_of(slot, from)) {
            leave_all(id, Reason::lost, now, nullptr);
            journal_.commit();
        }
        bus_.bury(slot);
        journal_.commit();
    };
    bus_.for_readers(bury_one);
    parts_.buses[process] = 0;
    bus_.wake_all_active();  // whom it had offered news may not know
    parts_.ended[process] = false;
    --parts_.head.ended_processes;
}

void Chat::attach(BusReader& reader) {
    const Held held(*this);
    if (!bus_.attach(reader)) throw std::runtime_error("the chat has as many reactors as it can");
    directory_.add_reader(reader.slot());
}

void Chat::detach(BusReader& reader) {
    const Held held(*this);
    bus_.detach(reader);
}

Bus::Read Chat::read(BusReader& reader, std::span<std::byte> into) {
    const Held held(*this);
    return bus_.read(reader, into);
}

void Chat::skip_ahead(BusReader& reader, std::span<RoomNow> rooms, std::span<MemberNow> members) {
    const Held held(*this);
    bus_.skip_ahead(reader);
    for (RoomNow& room : rooms) room.last = directory_.room(room.room).last;
    for (MemberNow& member : members) member.tells = directory_.member_at(member.member.slot).tells;
}

std::uint64_t Chat::wait_for_room(BusReader& reader) {
    const Held held(*this);
    return bus_.wait_for_room(reader);
}

void Chat::give_up_on_laggards(std::uint64_t shortage) {
    const Held held(*this);
    bus_.give_up_on_laggards(shortage);
}

std::expected<Chat::Entered, Refusal> Chat::enter(BusReader& reader) {
    const Held held(*this);
    const auto id = add_member(reader);
    if (!id) return std::unexpected(id.error());
    // There is a seat for everybody in the lobby: each member has as many as he may have rooms.
    return Entered{.id = *id,
                   .nick = directory_.member_at(id->slot).nick.name,
                   .place = sit_down(reader, *id, Directory::lobby)};
}

std::expected<Chat::Entered, Refusal> Chat::enter_no_room(BusReader& reader) {
    const Held held(*this);
    const auto id = add_member(reader);
    if (!id) return std::unexpected(id.error());
    return Entered{.id = *id, .nick = directory_.member_at(id->slot).nick.name, .place = {}};
}

std::expected<MemberId, Refusal> Chat::add_member(BusReader& reader) {
    if (!bus_.caught_up(reader)) return std::unexpected(Refusal::behind);
    const MemberId id = directory_.add_member(reader.slot());
    if (id == MemberId{}) return std::unexpected(Refusal::too_many_members);
    return id;
}

void Chat::leave(BusReader& reader, MemberId id, Reason reason, Instant now) {
    const Held held(*this);
    leave_all(id, reason, now, &reader);
}

void Chat::leave_all(MemberId id, Reason reason, Instant now, const BusReader* reader) {
    for (const RoomId room : directory_.rooms_of(id)) {
        stand_up(reader, id, room, reason, now);
        journal_.commit();
    }
    directory_.remove_member(id);
}

std::expected<Slot, Refusal> Chat::depart(BusReader& reader, MemberId id) {
    const Held held(*this);
    if (!bus_.caught_up(reader)) return std::unexpected(Refusal::behind);
    const Slot courier = bus_.attach_courier();
    if (courier == no_slot) return std::unexpected(Refusal::too_many_members);
    directory_.add_reader(courier);
    directory_.move_member(id, courier);
    return courier;
}

std::expected<Chat::Arrived, Refusal> Chat::arrive(BusReader& reader, MemberId id, Slot courier) {
    const Held held(*this);
    if (!bus_.caught_up(reader)) return std::unexpected(Refusal::behind);
    const DirectoryMember* const member = directory_.member(id);
    if (member == nullptr || member->reader != courier || !bus_.is_courier(courier))
        return std::unexpected(Refusal::no_such_member);
    Bus::Backlog backlog = bus_.take_backlog(courier);
    directory_.move_member(id, reader.slot());
    bus_.bury(courier);
    Arrived arrived{.nick = member->nick.name,
                    .tells = member->tells,
                    .backlog = std::move(backlog.records),
                    .overrun = backlog.overrun};
    for (const RoomId room : directory_.rooms_of(id)) arrived.rooms.push_back(place(room));
    return arrived;
}

void Chat::abandon(MemberId id, Slot courier, Instant now) {
    const Held held(*this);
    const DirectoryMember* const member = directory_.member(id);
    // He may have arrived long ago, where that number is a reader's by now.
    if (member == nullptr || member->reader != courier || !bus_.is_courier(courier)) return;
    leave_all(id, Reason::lost, now, nullptr);
    bus_.bury(courier);
}

std::expected<void, Refusal> Chat::rename(BusReader& reader, MemberId id, const Name& nick) {
    const Held held(*this);
    const Name old = directory_.member_at(id.slot).nick.name;
    if (!directory_.rename(id, nick)) return std::unexpected(Refusal::nick_taken);
    for (const RoomId room : directory_.rooms_of(id)) {
        if (!announces(room)) continue;
        publish({.kind = Kind::renamed,
                 .room = room,
                 .sender = id,
                 .position = directory_.room(room).last,
                 .nick = old.view(),
                 .text = nick.view()},
                &reader);
    }
    return {};
}

std::expected<Place, Refusal> Chat::join(BusReader& reader, MemberId id, const Name& name, Instant now,
                                         std::optional<Position> since) {
    const Held held(*this);
    if (!bus_.caught_up(reader)) return std::unexpected(Refusal::behind);
    RoomId room = directory_.find_room(name.view());
    if (room == no_room) room = directory_.open_room(name, now);
    if (room == no_room) return std::unexpected(Refusal::too_many_rooms_in_all);
    Place place = sit_down(reader, id, room);
    if (since) {
        const std::uint64_t known = since->epoch == place.position.epoch ? since->seq : 0;
        if (known < place.position.seq) place.missed = directory_.recall(room, place.position.seq - known);
    }
    return place;
}

std::expected<void, Refusal> Chat::part(BusReader& reader, MemberId id, RoomId room, Instant now) {
    const Held held(*this);
    if (!bus_.caught_up(reader)) return std::unexpected(Refusal::behind);
    stand_up(&reader, id, room, Reason::none, now);
    return {};
}

Position Chat::say(BusReader& reader, Kind kind, MemberId id, std::string_view nick, RoomId room,
                   std::string_view text, std::uint64_t once) {
    const Held held(*this);
    if (once != 0) {
        if (const auto said = directory_.find(room, once)) return *said;
    }
    Entry entry{.kind = kind,
                .room = room,
                .sender = id,
                .once = once,
                .at_ms = wall_clock_ms(),
                .nick = nick,
                .text = text};
    directory_.make_room_for(entry);
    entry.position = directory_.next_position(room);
    if (kind == Kind::topic) directory_.set_topic(room, text);
    directory_.remember(entry, {.messages = limits_.history_length, .bytes = limits_.history_bytes});
    publish(entry, &reader);
    return entry.position;
}

std::expected<void, Refusal> Chat::tell(BusReader& reader, MemberId id, std::string_view nick,
                                        std::string_view target, std::string_view text) {
    const Held held(*this);
    const MemberId target_id = directory_.find_member(target);
    const DirectoryMember* const member = directory_.member(target_id);
    if (member == nullptr) return std::unexpected(Refusal::no_such_member);
    directory_.count_tell(target_id);
    const std::uint64_t place = bus_.append({.kind = Kind::told,
                                             .sender = id,
                                             .target = target_id,
                                             .at_ms = wall_clock_ms(),
                                             .nick = nick,
                                             .text = text});
    bus_.offer(member->reader, place, &reader);
    return {};
}

Roll Chat::who(RoomId room, std::size_t most) {
    const Held held(*this);
    return roll(room, most);
}

std::expected<Roll, Refusal> Chat::who(std::string_view name, std::size_t most) {
    const Held held(*this);
    const RoomId room = directory_.find_room(name);
    if (room == no_room || directory_.room(room).members == 0) return std::unexpected(Refusal::no_such_room);
    return roll(room, most);
}

Roll Chat::roll(RoomId room, std::size_t most) const {
    const DirectoryRoom& called = directory_.room(room);
    return {.room = called.name.name, .members = called.members, .nicks = directory_.nicks_in(room, most)};
}

RoomList Chat::rooms(std::size_t most) {
    const auto listed = [this] {
        const Held held(*this);
        return directory_.list_rooms();
    };
    RoomList list{.all = 0, .largest = listed()};
    list.all = list.largest.size();
    const std::size_t shown = std::min(list.all, most);
    std::partial_sort(list.largest.begin(), list.largest.begin() + static_cast<std::ptrdiff_t>(shown),
                      list.largest.end(), [](const auto& one, const auto& other) {
                          return one.members != other.members ? one.members > other.members
                                                              : one.name.view() < other.name.view();
                      });
    list.largest.resize(shown);
    return list;
}

Place Chat::look(RoomId room) {
    const Held held(*this);
    return place(room);
}

std::expected<Recalled, Refusal> Chat::recall(BusReader& reader, RoomId room_id, std::size_t count) {
    const Held held(*this);
    if (!bus_.caught_up(reader)) return std::unexpected(Refusal::behind);
    return last_messages(room_id, count);
}

std::expected<Recalled, Refusal> Chat::messages(std::string_view name) {
    const Held held(*this);
    const RoomId room = directory_.find_room(name);
    if (room == no_room) return std::unexpected(Refusal::no_such_room);
    return last_messages(room, limits_.history_length);
}

Recalled Chat::last_messages(RoomId room_id, std::size_t count) const {
    const DirectoryRoom& room = directory_.room(room_id);
    return Recalled{.room = room.name.name,
                    .last = room.last,
                    .messages = std::min<std::size_t>(count, room.history.messages),
                    .records = directory_.recall(room_id, count)};
}

Place Chat::place(RoomId id) const {
    const DirectoryRoom& room = directory_.room(id);
    return {.room = id,
            .name = room.name.name,
            .position = room.last,
            .members = room.members,
            .topic = std::string(directory_.topic(id))};
}

bool Chat::announces(RoomId room) const { return directory_.room(room).members <= limits_.announced_members; }

// `publisher`: null when nobody needs no waking.
void Chat::publish(const Entry& entry, const BusReader* publisher) {
    const std::uint64_t place = bus_.append(entry);
    directory_.for_readers_in(entry.room, [&](Slot reader) CONFAB_NO_THREAD_SAFETY_ANALYSIS {
        bus_.offer(reader, place, publisher);
    });
}

// Requires: there are seats left, which is so unless he is in as many rooms as he may be.
Place Chat::sit_down(BusReader& reader, MemberId id, RoomId room_id) {
    directory_.sit_down(id, room_id);
    if (announces(room_id)) {
        publish({.kind = Kind::joined,
                 .room = room_id,
                 .sender = id,
                 .position = directory_.room(room_id).last,
                 .nick = directory_.member_at(id.slot).nick.view()},
                &reader);
    }
    return place(room_id);
}

void Chat::stand_up(const BusReader* reader, MemberId id, RoomId room, Reason reason, Instant now) {
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
