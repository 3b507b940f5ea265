#include "server/chat/json_conversation.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "pools/serialise.hpp"
#include "server/chat/hub.hpp"
#include "server/chat/json_text.hpp"
#include "server/chat/refusals.hpp"
#include "server/chat/text.hpp"

namespace confab::chat {

namespace {

using Event = wire::WebSocketEvent::Kind;

// A text may be longer in JSON: six bytes for one, if somebody escapes everything, and what stands around it.
constexpr std::size_t most_bytes_a_byte = 6;
constexpr std::size_t around_a_text = 1024;

// What one answer lists at most, as in the line protocol.
constexpr std::size_t listed_nicks = 2000;
constexpr std::size_t listed_rooms = 500;
constexpr std::size_t usual_history = 20;

// Bytes of pongs that may wait for a peer who asks and does not read.
constexpr std::size_t urgent_bytes_queued = 4096;

// Who says nothing is asked for a sign after this long, and given as long again: as a phone's network forgets
// a connection.
constexpr Duration silence_allowed = std::chrono::seconds(30);

struct Written {
    wire::WebSocketReader reader;
    std::string waiting;
    bool asked_for_sign = false;

    template <class Archive>
    void serialize(Archive& archive) {
        archive(reader, waiting, asked_for_sign);
    }
};

// Clients choose what is unique; eight bytes of it are kept (FNV-1a). 0 for an empty one only.
std::uint64_t fingerprint(std::string_view once) {
    if (once.empty()) return 0;
    std::uint64_t print = 0xcbf29ce484222325;
    for (const char c : once) print = (print ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    return std::max<std::uint64_t>(print, 1);
}

std::optional<std::uint64_t> epoch_from(std::string_view text) {
    std::uint64_t epoch = 0;
    const auto [end, fault] = std::from_chars(text.begin(), text.end(), epoch, 36);
    if (fault != std::errc() || end != text.end()) return std::nullopt;
    return epoch;
}

// Messages as an array.
std::string array_of(std::span<const std::byte> records, std::string_view room) {
    std::string array = "[";
    while (!records.empty()) {
        if (array.size() > 1) array += ',';
        append_json(array, take_record(records), room);
    }
    return array += ']';
}

// Where the first of `records` stands; behind `last` when there is none.
std::uint64_t first_seq(std::span<const std::byte> records, Position last) {
    return records.empty() ? last.seq + 1 : take_record(records).position.seq;
}

}  // namespace

struct JsonConversation::Verb {
    std::string_view type;
    void (JsonConversation::*obey)(const JsonRequest&);
};

const JsonConversation::Verb JsonConversation::verbs[] = {
    {"say", &JsonConversation::said},    {"emote", &JsonConversation::emote},
    {"topic", &JsonConversation::topic}, {"tell", &JsonConversation::tell},
    {"join", &JsonConversation::join},   {"part", &JsonConversation::part},
    {"nick", &JsonConversation::nick},   {"who", &JsonConversation::who},
    {"rooms", &JsonConversation::rooms}, {"history", &JsonConversation::history},
    {"ping", &JsonConversation::ping},
};

// `parts` come behind the type, each member with a comma before it.
template <class... Parts>
void JsonConversation::answer(const JsonRequest& request, std::string_view type, const Parts&... parts) {
    std::string json;
    json_append(json, "{\"type\":\"", type, "\"");
    if (!request.id.empty()) json_append(json, ",\"re\":\"", JsonText(request.id), "\"");
    if constexpr (sizeof...(parts) > 0) json_append(json, parts...);
    json += '}';
    member_.reply(face_.frame(json));
}

JsonConversation::Next JsonConversation::begin() {
    const auto entered = member_.enter_no_room();
    if (!entered) {
        refuse({}, entered.error(), {});
        return close(wire::close_code::try_again_later, code(entered.error()), Reason::none);
    }
    const Limits& limits = member_.hub().limits();
    answer({}, "welcome", ",\"nick\":\"", JsonText(session_.nick.view()),
           "\",\"max_text\":", JsonNumber(limits.line_length),
           ",\"max_name\":", JsonNumber(limits.name_length),
           ",\"max_rooms\":", JsonNumber(limits.rooms_per_member));
    return Next::receive;
}

JsonConversation::Next JsonConversation::resume(const SessionState& state) {
    auto written = from_bytes<Written>(std::as_bytes(std::span(state.wire)));
    reader_ = std::move(written.reader);
    waiting_ = std::move(written.waiting);
    asked_for_sign_ = written.asked_for_sign;
    return member_.arrive(state) ? go_on() : Next::end;
}

void JsonConversation::write(SessionState& state) const {
    const auto bytes =
        to_bytes(Written{.reader = reader_, .waiting = waiting_, .asked_for_sign = asked_for_sign_});
    state.wire.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

JsonConversation::Next JsonConversation::receive(LentBytes bytes) {
    asked_for_sign_ = false;
    return obey(bytes);
}

JsonConversation::Next JsonConversation::go_on() {
    if (!waiting_.empty()) {
        if (const Next next = ready(); next != Next::receive) return next;
        const Next next = obey_message(std::exchange(waiting_, {}));
        if (next != Next::receive) return next;
    }
    std::string input = std::exchange(session_.unhandled, {});
    return obey(std::as_writable_bytes(std::span(input)));
}

JsonConversation::Next JsonConversation::finish() {
    if (const Next next = go_on(); next != Next::receive) return next;
    member_.leave(Reason::lost);
    return Next::end;
}

JsonConversation::Next JsonConversation::silence() {
    if (asked_for_sign_) {
        member_.notify({.kind = Notice::Kind::idle});
        member_.leave(Reason::lost);
        return Next::end;
    }
    asked_for_sign_ = true;
    member_.reply_urgently(wire::frame(wire::Opcode::ping, {}));
    return Next::receive;
}

Duration JsonConversation::patience(Duration idle) const { return std::min(silence_allowed, idle / 2); }

// Obeys what is whole of `input`, as far as may be obeyed now, and keeps the rest.
JsonConversation::Next JsonConversation::obey(LentBytes input) {
    const Limits& limits = member_.hub().limits();
    const std::size_t most = most_bytes_a_byte * limits.line_length + around_a_text;
    while (true) {
        if (member_.ended() != Reason::none) return Next::end;
        const wire::WebSocketEvent event = reader_.next(input, most);
        if (event.kind == Event::need_more) return Next::receive;
        Next next = obey(event);
        if (next == Next::receive && member_.outbox().urgent_size() > urgent_bytes_queued)
            next = Next::await_reader;
        if (next == Next::receive) continue;
        if (next != Next::end)
            session_.unhandled.assign(reinterpret_cast<const char*>(input.data()), input.size());
        return next;
    }
}

JsonConversation::Next JsonConversation::obey(const wire::WebSocketEvent& event) {
    switch (event.kind) {
        case Event::text:
            if (const Next next = ready(); next != Next::receive) {
                waiting_ = event.payload;
                return next;
            }
            return obey_message(event.payload);
        case Event::binary:
            return close(wire::close_code::unacceptable, "messages are texts", Reason::quit);
        case Event::ping:
            member_.reply_urgently(wire::frame(wire::Opcode::pong, event.payload));
            return Next::receive;
        case Event::pong:
            return Next::receive;
        case Event::close:
            return close(event.code, {}, Reason::quit);
        case Event::failed:
            return close(event.code, {}, Reason::quit);
        case Event::need_more:
            break;
    }
    std::unreachable();
}

// Behind all that is queued, so that nothing that was answered is lost.
JsonConversation::Next JsonConversation::close(std::uint16_t code, std::string_view reason, Reason why) {
    member_.leave(why);
    member_.reply(wire::close_frame(code, reason));
    return Next::end;
}

// What must be before the next message may be obeyed; `receive`: nothing.
JsonConversation::Next JsonConversation::ready() const {
    Hub& hub = member_.hub();
    if (!hub.has_room()) return Next::await_room;
    if (member_.outbox().size() > hub.limits().reply_bytes_queued) return Next::await_reader;
    return Next::receive;
}

JsonConversation::Next JsonConversation::obey_message(std::string_view json) {
    Hub& hub = member_.hub();
    const Limits& limits = hub.limits();
    JsonRequest request;
    if (const std::string_view fault = request.read(json); !fault.empty()) {
        hub.counters().refused_lines.add();
        refuse(request, "bad_message", fault);
        return Next::receive;
    }
    if (!session_.lines.take(limits.lines_per_second, limits.lines_at_once, hub.reactor().now())) {
        hub.counters().refused_lines.add();
        refuse(request, "too_fast", std::to_string(limits.lines_per_second) + " messages a second at most");
        return Next::receive;
    }
    if (!is_text(request)) {
        hub.counters().refused_lines.add();
        return Next::receive;
    }
    const auto verb = std::ranges::find(verbs, request.type, &Verb::type);
    if (verb == std::end(verbs)) {
        refuse(request, "bad_message", "there is no such type of message");
    } else {
        (this->*verb->obey)(request);
    }
    return Next::receive;
}

// The text, if there is one, and names that are only looked for: they may come back in an answer.
bool JsonConversation::is_text(const JsonRequest& request) {
    const Limits& limits = member_.hub().limits();
    if (request.text.size() > limits.line_length) {
        refuse(request, "too_long",
               "text too long: " + std::to_string(limits.line_length) + " bytes at most");
        return false;
    }
    for (const std::string* const each : {&request.text, &request.room, &request.nick}) {
        if (check_text(*each) == TextFault::none) continue;
        refuse(request, "bad_text", "no control characters, please");
        return false;
    }
    return true;
}

void JsonConversation::said(const JsonRequest& request) { say(Kind::said, request); }
void JsonConversation::emote(const JsonRequest& request) { say(Kind::emote, request); }
void JsonConversation::topic(const JsonRequest& request) { say(Kind::topic, request); }

void JsonConversation::say(Kind kind, const JsonRequest& request) {
    if (request.text.empty()) return refuse(request, "empty", "there is no text");
    const auto position = member_.say(kind, request.text, request.room, fingerprint(request.once));
    if (!position) return refuse(request, position.error(), request.room);
    const auto place = member_.look(request.room);
    answer(request, "ack", ",\"room\":\"", JsonText(place->name.view()), "\",\"epoch\":\"",
           json_epoch(position->epoch), "\",\"seq\":", JsonNumber(position->seq));
}

void JsonConversation::tell(const JsonRequest& request) {
    if (request.text.empty()) return refuse(request, "empty", "there is no text");
    const auto told = member_.tell(request.nick, request.text);
    if (!told) return refuse(request, told.error(), request.nick);
    answer(request, "ack");
}

void JsonConversation::nick(const JsonRequest& request) {
    if (request.nick != session_.nick.view()) {
        const NameFault fault = check_nick(request.nick, member_.hub().limits().name_length);
        if (!is_name(request, fault, "nick", request.nick)) return;
        const auto renamed = member_.rename(Name(request.nick));
        if (!renamed) return refuse(request, renamed.error(), request.nick);
    }
    answer(request, "you", ",\"nick\":\"", JsonText(request.nick), "\"");
}

void JsonConversation::join(const JsonRequest& request) {
    const NameFault fault = check_room_name(request.room, member_.hub().limits().name_length);
    if (!is_name(request, fault, "room", request.room)) return;
    std::optional<Position> since;
    if (request.seq) {
        const auto epoch = epoch_from(request.epoch);
        if (!epoch) return refuse(request, "bad_message", "epoch and seq go together");
        since = Position{.epoch = *epoch, .seq = *request.seq};
    }
    const std::size_t rooms_before = session_.seats.size();
    const auto place = member_.join(Name(request.room), since);
    if (!place) return refuse(request, place.error(), request.room);

    const Position last = place->position;
    const std::string_view name = place->name.view();
    std::string rest;
    const bool was_there = session_.seats.size() == rooms_before;
    if (since && !was_there) {
        const bool known = since->epoch == last.epoch;
        const std::uint64_t next = (known ? std::min(since->seq, last.seq) : 0) + 1;
        const std::uint64_t first = first_seq(place->missed, last);
        const bool gap = first > next;
        json_append(rest, ",\"resume\":\"",
                    std::string_view(!known ? "new_epoch"
                                     : gap  ? "gap"
                                            : "recovered"),
                    "\"");
        if (gap) {
            json_append(rest, ",\"gap\":{\"from\":", JsonNumber(next), ",\"to\":", JsonNumber(first - 1),
                        "}");
        }
        json_append(rest, ",\"messages\":", std::string_view(array_of(place->missed, name)));
    }
    answer(request, "room", ",\"room\":\"", JsonText(name), "\",\"epoch\":\"", json_epoch(last.epoch),
           "\",\"seq\":", JsonNumber(last.seq), ",\"members\":", JsonNumber(place->members), ",\"topic\":\"",
           JsonText(place->topic), "\"", std::string_view(rest));
}

void JsonConversation::part(const JsonRequest& request) {
    const auto left = member_.part(request.room);
    if (!left) return refuse(request, left.error(), request.room);
    answer(request, "left", ",\"room\":\"", JsonText(left->view()), "\"");
}

void JsonConversation::who(const JsonRequest& request) {
    const auto roll = member_.who(request.room, listed_nicks);
    if (!roll) return refuse(request, roll.error(), request.room);
    std::string nicks;
    for (const Name& each : roll->nicks)
        json_append(nicks, std::string_view(nicks.empty() ? "\"" : ",\""), JsonText(each.view()), "\"");
    answer(request, "who", ",\"room\":\"", JsonText(roll->room.view()),
           "\",\"members\":", JsonNumber(roll->members), ",\"nicks\":[", std::string_view(nicks), "]");
}

void JsonConversation::rooms(const JsonRequest& request) {
    const RoomList list = member_.hub().chat().rooms(listed_rooms);
    std::string rooms;
    for (const Directory::Listed& room : list.largest) {
        json_append(rooms, std::string_view(rooms.empty() ? "{\"room\":\"" : ",{\"room\":\""),
                    JsonText(room.name.view()), "\",\"members\":", JsonNumber(room.members), "}");
    }
    answer(request, "rooms", ",\"all\":", JsonNumber(list.all), ",\"rooms\":[", std::string_view(rooms), "]");
}

void JsonConversation::history(const JsonRequest& request) {
    const auto recalled = member_.recall(request.count.value_or(usual_history), request.room);
    if (!recalled) return refuse(request, recalled.error(), request.room);
    const std::string_view room = recalled->room.view();
    answer(request, "history", ",\"room\":\"", JsonText(room), "\",\"epoch\":\"",
           json_epoch(recalled->last.epoch), "\",\"seq\":", JsonNumber(recalled->last.seq),
           ",\"messages\":", std::string_view(array_of(recalled->records, room)));
}

void JsonConversation::ping(const JsonRequest& request) { answer(request, "pong"); }

bool JsonConversation::is_name(const JsonRequest& request, NameFault fault, std::string_view what,
                               std::string_view name) {
    if (fault == NameFault::none) return true;
    refuse(request, "bad_name", words(fault, what, name, member_.hub().limits()));
    return false;
}

void JsonConversation::refuse(const JsonRequest& request, Refusal refusal, std::string_view what) {
    refuse(request, code(refusal), words(refusal, what, member_.hub().limits()));
}

void JsonConversation::refuse(const JsonRequest& request, std::string_view code, std::string_view text) {
    answer(request, "error", ",\"code\":\"", code, "\",\"text\":\"", JsonText(text), "\"");
}

}  // namespace confab::chat
