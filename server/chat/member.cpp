#include "server/chat/member.hpp"

#include <algorithm>
#include <cassert>

#include "server/chat/hub.hpp"

namespace confab::chat {

Member::Member(Hub& hub, Outbox& outbox, const Face& face, Duration send_limit)
    : hub_(hub), outbox_(outbox), face_(face), send_limit_(send_limit) {}

Member::~Member() {
    leave(Reason::lost);
    hub_.forget(*this);
}

void Member::reply(SharedBytes bytes) {
    outbox_.push(std::move(bytes));
    hub_.touch(*this);
}

void Member::reply(std::string_view text) { reply(SharedBytes::copy_of(std::as_bytes(std::span(text)))); }

void Member::reply_urgently(std::string_view text) {
    outbox_.push_urgent(SharedBytes::copy_of(std::as_bytes(std::span(text))));
    hub_.touch(*this);
}

void Member::notify(const Notice& notice) { reply(face_.encode(notice)); }

std::expected<Place, Refusal> Member::enter() { return hub_.enter(*this); }

std::expected<void, Refusal> Member::enter_no_room() { return hub_.enter_no_room(*this); }

void Member::leave(Reason reason) {
    if (in_) hub_.leave(*this, reason);
}

std::optional<SessionState> Member::depart() {
    if (!in_ || dropping_ != Reason::none) return std::nullopt;
    return hub_.depart(*this);
}

bool Member::arrive(const SessionState& state) { return hub_.arrive(*this, state); }

std::expected<Place, Refusal> Member::join(const Name& room, std::optional<Position> since) {
    if (const auto seated = own_room(room.view())) {
        session_.current = *seated;
        return look();
    }
    if (session_.seats.size() >= hub_.limits().rooms_per_member)
        return std::unexpected(Refusal::too_many_rooms);
    return hub_.join(*this, room, since);
}

std::expected<Name, Refusal> Member::part(std::string_view name) {
    const auto room = own_room(name);
    if (!room) return std::unexpected(room.error());
    const Name left(hub_.room_name(*room));
    hub_.part(*this, *room);
    return left;
}

std::expected<void, Refusal> Member::rename(const Name& nick) {
    const auto renamed = hub_.chat_.rename(hub_.reader_, session_.id, nick);
    if (!renamed) return renamed;
    session_.nick = nick;
    hub_.schedule_turn();
    return {};
}

std::expected<Position, Refusal> Member::say(Kind kind, std::string_view text, std::string_view name,
                                             std::uint64_t once) {
    const auto room = own_room(name);
    if (!room) return std::unexpected(room.error());
    if (kind == Kind::topic && text.size() > hub_.limits().topic_length)
        return std::unexpected(Refusal::topic_too_long);
    hub_.counters_.messages.add();
    hub_.schedule_turn();
    return hub_.chat_.say(hub_.reader_, kind, session_.id, session_.nick.view(), *room, text, once);
}

std::expected<void, Refusal> Member::tell(std::string_view nick, std::string_view text) {
    hub_.counters_.messages.add();
    hub_.schedule_turn();
    return hub_.chat_.tell(hub_.reader_, session_.id, session_.nick.view(), nick, text);
}

std::expected<Place, Refusal> Member::look(std::string_view name) const {
    const auto room = own_room(name);
    if (!room) return std::unexpected(room.error());
    return hub_.chat_.look(*room);
}

std::expected<Roll, Refusal> Member::who(std::string_view room, std::size_t most) const {
    if (!room.empty()) return hub_.chat_.who(room, most);
    if (session_.current == no_room) return std::unexpected(Refusal::in_no_room);
    return hub_.chat_.who(session_.current, most);
}

std::expected<Recalled, Refusal> Member::recall(std::size_t count, std::string_view name) {
    const auto room = own_room(name);
    if (!room) return std::unexpected(room.error());
    return hub_.recall(*room, count);
}

std::expected<RoomId, Refusal> Member::own_room(std::string_view name) const {
    if (name.empty() && session_.current == no_room) return std::unexpected(Refusal::in_no_room);
    if (name.empty()) return session_.current;
    for (const Session::Seat& seat : session_.seats) {
        if (same_name(hub_.room_name(seat.room), name)) return seat.room;
    }
    return std::unexpected(Refusal::not_in_room);
}

Session::Seat* Member::seat_in(RoomId room) {
    const auto seat = std::find_if(session_.seats.begin(), session_.seats.end(),
                                   [room](const Session::Seat& each) { return each.room == room; });
    return seat == session_.seats.end() ? nullptr : &*seat;
}

}  // namespace confab::chat
