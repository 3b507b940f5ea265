#include "server/chat/hub.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <utility>

#include "server/chat/member.hpp"

namespace confab::chat {

namespace {

// News is copied out of the bus in pieces of this size: a lock each, and a stack's worth.
constexpr std::size_t piece_size = 16 * 1024;

// Pieces that are read in a turn, at most, and bytes that they may bring for one room. The more, the more
// messages one system call carries to a member; but a reactor that is behind leaves its backlog in the bus,
// where there is one copy of it.
constexpr int pieces_a_turn = 32;
constexpr std::size_t room_bytes_a_turn = 32 * 1024;

// Rooms that keep the chunk their next messages go into. Beyond that, the one that has kept it longest lets
// go.
constexpr std::size_t warm_rooms = 256;

template <class T>
void replace(std::vector<T*>& list, T* old, T* now) {
    std::replace(list.begin(), list.end(), old, now);
}

}  // namespace

Hub::Hub(Chat& chat, Reactor& reactor)
    : chat_(chat),
      reactor_(reactor),
      bell_(chat.spans_processes() ? std::optional<Bell>(std::in_place) : std::nullopt),
      reader_(reactor, news_, bell_ ? bell_->name() : 0) {
    chat_.attach(reader_);
}

Hub::~Hub() {
    assert(size_ == 0);
    chat_.detach(reader_);
    reactor_.cancel(patience_);
    if (bell_) close_bell();
    while (reader_.news_posted() || turn_scheduled_ || patience_.state != Operation::State::idle)
        reactor_.turn();
}

// Members: in, out, and from room to room.

// Reads news until `verb` is not refused for lack of that.
template <class Verb>
auto Hub::when_caught_up(Verb verb) {
    auto result = verb();
    while (!result && result.error() == Refusal::behind) {
        read_piece();
        hand_out_all();
        flush();  // so that what was read does not pile up in the outboxes
        result = verb();
    }
    schedule_turn();
    return result;
}

std::expected<Place, Refusal> Hub::enter(Member& member) {
    auto answer = when_caught_up([this] { return chat_.enter(reader_); });
    if (!answer) return std::unexpected(answer.error());
    Chat::Entered& entered = *answer;
    install(member, entered.id, entered.nick);
    sit_down(member, entered.place);
    return std::move(entered.place);
}

std::expected<void, Refusal> Hub::enter_no_room(Member& member) {
    const auto entered = when_caught_up([this] { return chat_.enter_no_room(reader_); });
    if (!entered) return std::unexpected(entered.error());
    install(member, entered->id, entered->nick);
    return {};
}

void Hub::install(Member& member, MemberId id, const Name& nick) {
    member.session_.id = id;
    member.session_.nick = nick;
    if (id.slot >= members_.size()) members_.resize(id.slot + 1, nullptr);
    members_[id.slot] = &member;
    member.in_ = true;
    if (size_++ == 0) {
        reactor_.hold();  // other reactors may post news from now on
        if (bell_) listen();
    }
    counters_.entered.add();
}

void Hub::leave(Member& member, Reason reason) {
    const MemberId id = member.session_.id;
    remove(member, reason);
    chat_.leave(reader_, id, reason, reactor_.now());
}

void Hub::remove(Member& member, Reason reason) {
    Session& session = member.session_;
    while (!session.seats.empty()) stand_up(member, session.seats.back().room);
    session.current = no_room;
    members_[session.id.slot] = nullptr;
    member.in_ = false;
    member.ended_ = reason;
    if (--size_ == 0) {
        reactor_.release_hold();
        reactor_.cancel(ear_);
    }
    counters_.left.add();
    schedule_turn();
}

// All that is his has been handed to him then, and what comes later waits with his courier.
std::optional<SessionState> Hub::depart(Member& member) {
    const auto courier = when_caught_up([&] { return chat_.depart(reader_, member.session_.id); });
    if (!courier) return std::nullopt;
    Session& session = member.session_;
    SessionState state{.protocol = {},
                       .nick = std::string(session.nick.view()),
                       .slot = session.id.slot,
                       .tenant = session.id.tenant,
                       .courier = *courier,
                       .seats = {},
                       .current = session.current,
                       .tells_seen = session.tells_seen,
                       .lines_back = session.lines.written(),
                       .partial = std::string(session.partial.text()),
                       .discarding = session.partial.discarding(),
                       .unhandled = std::exchange(session.unhandled, {}),
                       .wire = {}};
    for (const Session::Seat& seat : session.seats) {
        const Position last = delivered(seat.room);
        state.seats.push_back({.room = seat.room, .epoch = last.epoch, .seq = last.seq});
    }
    remove(member, Reason::moved);
    return state;
}

bool Hub::arrive(Member& member, const SessionState& state) {
    const MemberId id{.slot = state.slot, .tenant = state.tenant};
    const auto arrived = when_caught_up([&] { return chat_.arrive(reader_, id, state.courier); });
    if (!arrived) return false;
    install(member, id, arrived->nick);
    Session& session = member.session_;
    for (const SessionState::Seat& seat : state.seats) {
        const auto place = std::ranges::find(arrived->rooms, seat.room, &Place::room);
        if (place != arrived->rooms.end()) sit_down(member, *place);
    }
    session.current = state.current;
    session.tells_seen = state.tells_seen;
    session.lines = Allowance::from_written(state.lines_back);
    session.partial.append(state.partial);
    session.partial.discard(state.discarding);
    session.unhandled = state.unhandled;
    catch_up(member, state, *arrived);
    return true;
}

// Hands him what has happened on his way, or says that it is lost.
void Hub::catch_up(Member& member, const SessionState& state, const Chat::Arrived& arrived) {
    Arena arena(0);
    for (std::span<const std::byte> records = arrived.backlog; !records.empty();) {
        const Entry entry = take_record(records);
        if (entry.kind == Kind::told) {
            if (entry.target != member.session_.id) continue;
            ++member.session_.tells_seen;
        } else if (member.seat_in(entry.room) == nullptr) {
            continue;
        }
        const std::string_view room = entry.kind == Kind::told ? std::string_view() : room_name(entry.room);
        push(member, member.face_.encode(entry, room, arena));
        counters_.deliveries.add();
    }
    if (!arrived.overrun) return;
    for (const SessionState::Seat& seat : state.seats) {
        const auto place = std::ranges::find(arrived.rooms, seat.room, &Place::room);
        const std::uint64_t missed = place->position.seq - seat.seq;
        if (missed == 0) continue;
        counters_.missed.add(missed);
        push(member,
             member.face_.encode(
                 {.kind = Notice::Kind::missed_messages, .count = missed, .room = room_name(seat.room)}));
    }
    const std::uint32_t missed = arrived.tells - std::exchange(member.session_.tells_seen, arrived.tells);
    if (missed > 0) push(member, member.face_.encode({.kind = Notice::Kind::missed_tells, .count = missed}));
}

// The member's memory is about to go.
void Hub::forget(Member& member) {
    replace<Member>(touched_, &member, nullptr);
    replace<Member>(marked_, &member, nullptr);
}

std::expected<Place, Refusal> Hub::join(Member& member, const Name& room, std::optional<Position> since) {
    auto place =
        when_caught_up([&] { return chat_.join(reader_, member.session_.id, room, reactor_.now(), since); });
    if (place) sit_down(member, *place);
    return place;
}

void Hub::part(Member& member, RoomId room) {
    const auto parted =
        when_caught_up([&] { return chat_.part(reader_, member.session_.id, room, reactor_.now()); });
    assert(parted.has_value());
    stand_up(member, room);
}

std::expected<Recalled, Refusal> Hub::recall(RoomId room, std::size_t count) {
    return when_caught_up([&] { return chat_.recall(reader_, room, count); });
}

void Hub::sit_down(Member& member, const Place& place) {
    if (place.room >= rooms_.size()) rooms_.resize(place.room + 1);
    std::unique_ptr<LocalRoom>& room = rooms_[place.room];
    if (!room) room = std::make_unique<LocalRoom>(place);
    auto audience = std::find_if(room->audiences.begin(), room->audiences.end(),
                                 [&](const auto& each) { return each->face == &member.face_; });
    if (audience == room->audiences.end()) {
        audience = room->audiences.insert(audience, std::make_unique<Audience>(member.face_));
    }
    std::vector<Session::Seat>& seats = member.session_.seats;
    seats.push_back({.room = place.room, .place = static_cast<std::uint32_t>((*audience)->members.size())});
    (*audience)->members.push_back(&member);
    member.session_.current = place.room;
    if (seats.size() == 2) ++rooms_[seats.front().room]->wanderers;
    if (seats.size() >= 2) ++room->wanderers;
}

void Hub::stand_up(Member& member, RoomId room_id) {
    LocalRoom& room = *rooms_[room_id];
    assert(!room.pending);
    std::vector<Session::Seat>& seats = member.session_.seats;
    const Session::Seat seat = *member.seat_in(room_id);
    const auto audience = std::find_if(room.audiences.begin(), room.audiences.end(),
                                       [&](const auto& each) { return each->face == &member.face_; });
    std::vector<Member*>& members = (*audience)->members;
    Member* const last = members.back();
    members[seat.place] = last;
    last->seat_in(room_id)->place = seat.place;
    members.pop_back();
    if (members.empty()) room.audiences.erase(audience);

    if (seats.size() >= 2) --room.wanderers;
    std::erase_if(seats, [room_id](const Session::Seat& each) { return each.room == room_id; });
    if (seats.size() == 1) --rooms_[seats.front().room]->wanderers;
    if (member.session_.current == room_id)
        member.session_.current = seats.empty() ? no_room : seats.back().room;
    if (!room.audiences.empty()) return;
    if (room.warm) std::erase(warm_, &room);
    rooms_[room_id].reset();
}

Position Hub::delivered(RoomId room) const { return rooms_[room]->last; }

Member* Hub::local_member(MemberId id) const {
    if (id.slot >= members_.size() || members_[id.slot] == nullptr) return nullptr;
    Member* const member = members_[id.slot];
    return member->session_.id == id ? member : nullptr;
}

// News.

void Hub::run_news(Job& job) noexcept {
    Hub& hub = static_cast<HubJob&>(job).hub;
    hub.reader_.take_news();
    hub.schedule_turn();
}

// The bell is listened to while there are members.
void Hub::listen() {
    if (ear_.state != Operation::State::idle) return;
    ear_.fd = bell_->descriptor();
    if (reactor_.submit(ear_)) rung(ear_);
}

void Hub::rung(Operation& operation) noexcept {
    Hub& hub = static_cast<Ear&>(operation).hub;
    if (hub.size_ == 0) return;
    hub.bell_->silence();
    hub.chat_.hear(hub.reader_);
    hub.schedule_turn();
    hub.listen();
}

// Through the reactor, which knows the descriptor.
void Hub::close_bell() {
    Operation close(Operation::Kind::close, bell_->release().release(), [](Operation&) noexcept {});
    if (reactor_.submit(close)) return;
    while (close.state != Operation::State::idle) reactor_.turn();
}

void Hub::run_turn(Job& job) noexcept { static_cast<HubJob&>(job).hub.turn(); }

void Hub::schedule_turn() {
    if (turn_scheduled_) return;
    turn_scheduled_ = true;
    reactor_.at_end_of_turn(turn_);
}

// Once a turn, when all that was ready has run and has said what it had to say.
void Hub::turn() {
    turn_scheduled_ = false;
    crowded_ = false;
    bool more = true;
    for (int pieces = 0; more && !crowded_ && pieces < pieces_a_turn; ++pieces) more = read_piece();
    hand_out_all();
    drop_marked();
    flush();
    check_shortage();
    if (more) schedule_turn();
}

// Encodes the next piece of news. True: there is more.
bool Hub::read_piece() {
    alignas(8) std::array<std::byte, piece_size> piece;
    const Bus::Read read = chat_.read(reader_, piece);
    if (read.overrun) {
        skip_ahead();
    } else if (read.needed != 0) {
        std::vector<std::byte> large(read.needed);
        deliver_all(std::span(large).first(chat_.read(reader_, large).size));
    } else {
        deliver_all(std::span(piece).first(read.size));
    }
    return read.more;
}

void Hub::deliver_all(std::span<const std::byte> records) {
    while (!records.empty()) deliver(take_record(records));
}

void Hub::deliver(const Entry& entry) {
    if (entry.kind == Kind::told) return deliver_told(entry);
    LocalRoom* const room = local_room(entry.room);
    if (room == nullptr || room->last.epoch != entry.position.epoch) return;
    const std::uint64_t expected = room->last.seq + (is_numbered(entry.kind) ? 1 : 0);
    if (entry.position.seq > expected) note_gap(*room, entry.position.seq - expected);
    room->last = entry.position;

    if (room->wanderers > 0 && pending_with_wanderers_ != room) {
        if (pending_with_wanderers_ != nullptr) hand_out(*pending_with_wanderers_);
        pending_with_wanderers_ = room;
    }
    if (!room->pending) {
        room->pending = true;
        pending_.push_back(room);
        keep_warm(*room);
    }
    Member* const sender = local_member(entry.sender);
    for (const auto& audience : room->audiences) {
        if (audience->batch.empty()) audience->arena.start_over();
        SharedBytes bytes = audience->face->encode(entry, room->name.view(), audience->arena);
        room->pending_bytes += bytes.size();
        audience->batch.push_back({.bytes = std::move(bytes), .sender = sender});
    }
    if (room->pending_bytes > room_bytes_a_turn) crowded_ = true;
}

void Hub::deliver_told(const Entry& entry) {
    Member* const target = local_member(entry.target);
    if (target == nullptr) return;
    for (const Session::Seat& seat : target->session_.seats) hand_out(*rooms_[seat.room]);
    ++target->session_.tells_seen;
    Arena arena(0);
    push(*target, target->face_.encode(entry, {}, arena));
    counters_.deliveries.add();
}

// Pushes what is pending to the members. The room stays in `pending_`; there may be more for it.
void Hub::hand_out(LocalRoom& room) {
    if (!room.pending) return;
    for (const auto& audience : room.audiences) hand_out(*audience);
    room.pending = false;
    room.pending_bytes = 0;
}

void Hub::hand_out_all() {
    for (LocalRoom* const room : pending_) hand_out(*room);
    pending_.clear();
    pending_with_wanderers_ = nullptr;
}

void Hub::hand_out(Audience& audience) {
    stretches_.clear();
    std::size_t own = 0;
    for (const Piece& piece : audience.batch) {
        if (stretches_.empty() || !stretches_.back().absorb(piece.bytes)) stretches_.push_back(piece.bytes);
        if (piece.sender == nullptr) continue;
        piece.sender->said_some_ = true;
        ++own;
    }
    for (Member* const member : audience.members) {
        if (!member->said_some_) {
            for (const SharedBytes& stretch : stretches_) push(*member, stretch);
            continue;
        }
        for (const Piece& piece : audience.batch) {
            if (piece.sender != member) push(*member, piece.bytes);
        }
    }
    for (const Piece& piece : audience.batch) {
        if (piece.sender != nullptr) piece.sender->said_some_ = false;
    }
    counters_.deliveries.add(audience.members.size() * audience.batch.size() - own);
    audience.batch.clear();
    stretches_.clear();
}

void Hub::push(Member& member, const SharedBytes& bytes) {
    Outbox& outbox = member.outbox_;
    if (member.dropping_ != Reason::none) return;
    if (outbox.size() + bytes.size() > limits().bytes_queued) [[unlikely]] {
        return mark(member, Reason::too_slow);
    }
    outbox.push(bytes);
    touch(member);
}

// Drops him at the end of the turn, when nobody walks over the members of rooms.
void Hub::mark(Member& member, Reason reason) {
    if (!member.in_ || member.dropping_ != Reason::none) return;
    member.dropping_ = reason;
    marked_.push_back(&member);
    schedule_turn();
}

void Hub::touch(Member& member) {
    if (member.touched_at_ != Member::nowhere) return;
    member.touched_at_ = static_cast<std::uint32_t>(touched_.size());
    touched_.push_back(&member);
    schedule_turn();
}

void Hub::flush() {
    for (std::size_t i = 0; i < touched_.size(); ++i) {
        Member* const member = touched_[i];
        if (member == nullptr) continue;
        member->touched_at_ = Member::nowhere;
        member->outbox_.flush(member->send_limit_);
        if (member->outbox_.error() != 0) [[unlikely]]
            mark(*member, Reason::lost);
    }
    touched_.clear();
}

// A gap is said aloud, before what comes after it.
void Hub::note_gap(LocalRoom& room, std::uint64_t messages) {
    counters_.missed.add(messages);
    hand_out(room);
    for (const auto& audience : room.audiences) {
        const SharedBytes notice = audience->face->encode(
            {.kind = Notice::Kind::missed_messages, .count = messages, .room = room.name.view()});
        for (Member* const member : audience->members) push(*member, notice);
    }
}

// This reactor was too far behind, and the bus could not wait any longer.
void Hub::skip_ahead() {
    counters_.overruns.add();
    std::vector<Chat::RoomNow> rooms;
    for (const auto& room : rooms_) {
        if (room) rooms.push_back({.room = room->id, .last = {}});
    }
    std::vector<Chat::MemberNow> members;
    for (Member* const member : members_) {
        if (member != nullptr) members.push_back({.member = member->session_.id, .tells = 0});
    }
    chat_.skip_ahead(reader_, rooms, members);
    for (const Chat::RoomNow& now : rooms) {
        LocalRoom& room = *rooms_[now.room];
        note_gap(room, now.last.seq - room.last.seq);
        room.last = now.last;
    }
    for (const Chat::MemberNow& now : members) {
        Member& member = *members_[now.member.slot];
        const std::uint32_t missed = now.tells - member.session_.tells_seen;
        member.session_.tells_seen = now.tells;
        if (missed > 0)
            push(member, member.face_.encode({.kind = Notice::Kind::missed_tells, .count = missed}));
    }
}

// Notes that the room's arenas hold a chunk from now on, and cools another one down if these are too many.
void Hub::keep_warm(LocalRoom& room) {
    if (std::exchange(room.warm, true)) return;
    warm_.push_back(&room);
    if (warm_.size() <= warm_rooms) return;
    LocalRoom& cooled = *warm_.front();
    warm_.pop_front();
    if (cooled.pending) hand_out(cooled);
    for (const auto& audience : cooled.audiences) {
        audience->arena.let_go();
        audience->batch = {};
    }
    cooled.warm = false;
}

// Ends.

void Hub::drain() {
    // What other reactors' members said before the end is still owed to ours.
    while (read_piece()) {
    }
    hand_out_all();
    drop_marked();
    for (std::size_t slot = 0; slot < members_.size(); ++slot) {
        if (members_[slot] != nullptr) drop(*members_[slot], Reason::drain);
    }
    flush();
}

void Hub::drop(Member& member, Reason reason) {
    member.leave(reason);
    if (reason == Reason::drain) member.notify({.kind = Notice::Kind::going_down});
    if (reason == Reason::too_slow) {
        counters_.dropped_too_slow.add();
        member.notify({.kind = Notice::Kind::too_slow});
    }
    member.dropped();
}

void Hub::drop_marked() {
    for (std::size_t i = 0; i < marked_.size(); ++i) {
        Member* const member = marked_[i];
        if (member != nullptr && member->in_) drop(*member, member->dropping_);
    }
    marked_.clear();
}

// Waiting for room.

WaitList::Awaiter Hub::room(std::source_location where) {
    static constexpr WaitKind kind = WaitList::kind("room on the bus");
    if (shortage_ == 0) {
        shortage_ = chat_.wait_for_room(reader_);
        if (shortage_ != 0) {
            counters_.waits_for_room.add();
            run_out_of_patience();
        }
    }
    return WaitList::Awaiter(waiting_for_room_, kind, shortage_ == 0, where);
}

// The shortage that is waited for may be over, even if there is a new one by now: those who wait look again.
void Hub::check_shortage() {
    if (shortage_ == 0 || chat_.wait_for_room(reader_) == shortage_) return;
    shortage_ = 0;
    reactor_.cancel(patience_);
    waiting_for_room_.wake_all();
}

// In time. One that still runs for an earlier shortage is cancelled, and this is called again when it is
// over.
void Hub::run_out_of_patience() {
    if (patience_.state != Operation::State::idle) return;
    patience_.deadline = after(reactor_.now(), limits().publisher_patience);
    reactor_.submit(patience_);
}

void Hub::patience_over(Operation& operation) noexcept {
    Hub& hub = static_cast<Patience&>(operation).hub;
    if (hub.shortage_ == 0) return;
    if (operation.result == -ECANCELED) return hub.run_out_of_patience();
    hub.chat_.give_up_on_laggards(std::exchange(hub.shortage_, 0));
    hub.waiting_for_room_.wake_all();
}

}  // namespace confab::chat
