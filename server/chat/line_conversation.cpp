#include "server/chat/line_conversation.hpp"

#include <algorithm>
#include <charconv>
#include <string>
#include <utility>

#include "server/chat/hub.hpp"
#include "server/chat/line_face.hpp"
#include "server/chat/refusals.hpp"
#include "server/chat/text.hpp"

namespace confab::chat {

namespace {

// What one answer lists at most: two thousand nicks fill some 60 KiB, and nobody reads more.
constexpr std::size_t listed_nicks = 2000;
constexpr std::size_t listed_rooms = 500;
// Where a list goes on in a new line.
constexpr std::size_t list_width = 400;
constexpr std::size_t usual_history = 20;

std::string_view text_of(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

std::string_view trimmed(std::string_view text) {
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    return text.substr(0, text.find_last_not_of(' ') + 1);
}

// The first word, taken off `text` with the space behind it.
std::string_view take_word(std::string_view& text) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(word.size() + 1, text.size()));
    return word;
}

// A room as it is typed: people who know IRC put a # in front.
std::string_view room_name(std::string_view typed) {
    typed = trimmed(typed);
    return typed.starts_with('#') ? typed.substr(1) : typed;
}

std::string people(std::size_t count) {
    return std::to_string(count) + (count == 1 ? " member" : " members");
}

}  // namespace

struct LineConversation::Command {
    std::string_view name;
    void (LineConversation::*obey)(std::string_view);
    std::string_view usage;
    std::string_view purpose;
};

const LineConversation::Command LineConversation::commands[] = {
    {"nick", &LineConversation::nick, "/nick NAME", "be called NAME"},
    {"join", &LineConversation::join, "/join ROOM",
     "go into ROOM, or back to it; what you say goes there from now on"},
    {"part", &LineConversation::part, "/part [ROOM]", "leave ROOM, or the one you are talking to"},
    {"msg", &LineConversation::msg, "/msg NICK TEXT", "say TEXT to NICK alone"},
    {"me", &LineConversation::me, "/me TEXT", "say what you do, as in: /me waves"},
    {"who", &LineConversation::who, "/who [ROOM]", "who is in ROOM, or in the one you are talking to"},
    {"rooms", &LineConversation::rooms, "/rooms", "the rooms there are"},
    {"history", &LineConversation::history, "/history [N]",
     "the last N messages of the room, 20 if you do not say"},
    {"topic", &LineConversation::topic, "/topic [TEXT]", "the topic of the room, or a new one"},
    {"ping", &LineConversation::ping, "/ping [X]", "is answered with: * pong X"},
    {"help", &LineConversation::help, "/help", "this"},
    {"quit", &LineConversation::quit, "/quit", "goodbye"},
};

template <class... Parts>
void LineConversation::reply(const Parts&... parts) {
    std::string line;
    line.reserve((std::string_view(parts).size() + ... + 1));
    (line.append(parts), ...);
    line += '\n';
    member_.reply(line);
}

LineConversation::Next LineConversation::begin() {
    const auto place = member_.enter();
    if (!place) {
        refuse(place.error(), {});
        return Next::end;
    }
    reply("* welcome to confab, ", session_.nick.view(), ": you are in ", place->name.view(), " with ",
          people(place->members), ". /help lists the commands");
    return Next::receive;
}

LineConversation::Next LineConversation::resume(const SessionState& state) {
    return member_.arrive(state) ? go_on() : Next::end;
}

LineConversation::Next LineConversation::receive(Bytes bytes) { return obey(text_of(bytes)); }

LineConversation::Next LineConversation::go_on() {
    const std::string input = std::exchange(session_.unhandled, {});
    return obey(input);
}

LineConversation::Next LineConversation::silence() {
    member_.notify({.kind = Notice::Kind::idle});
    member_.leave(Reason::idle);
    return Next::end;
}

LineConversation::Next LineConversation::finish() {
    if (const Next next = go_on(); next != Next::receive) return next;
    LineSplitter splitter(session_.partial, member_.hub().limits().line_length);
    if (!session_.partial.empty()) {
        if (const Next next = ready(); next != Next::receive) return next;
        if (const auto line = splitter.last()) obey(*line);
    }
    member_.leave(Reason::quit);
    return Next::end;
}

// Obeys the whole lines of `input`, as many as may be obeyed now, and keeps the rest.
LineConversation::Next LineConversation::obey(std::string_view input) {
    LineSplitter splitter(session_.partial, member_.hub().limits().line_length);
    while (!input.empty()) {
        const Next next = ready();
        if (next != Next::receive) {
            if (next != Next::end) session_.unhandled = input;
            return next;
        }
        if (const auto line = splitter.next(input)) obey(*line);
    }
    return member_.ended() == Reason::none ? Next::receive : Next::end;
}

// What must be before the next line may be obeyed; `receive`: nothing.
LineConversation::Next LineConversation::ready() const {
    Hub& hub = member_.hub();
    if (member_.ended() != Reason::none) return Next::end;
    if (!hub.has_room()) return Next::await_room;
    if (member_.outbox().size() > hub.limits().reply_bytes_queued) return Next::await_reader;
    return Next::receive;
}

void LineConversation::obey(const SplitLine& line) {
    const Limits& limits = member_.hub().limits();
    if (line.overlong) {
        member_.hub().counters().refused_lines.add();
        return reply("! line too long: ", std::to_string(limits.line_length), " bytes at most");
    }
    if (line.text.empty()) return;
    if (!session_.lines.take(limits.lines_per_second, limits.lines_at_once, member_.hub().reactor().now())) {
        member_.hub().counters().refused_lines.add();
        return reply("! too fast, that line was dropped: ", std::to_string(limits.lines_per_second),
                     " lines a second at most");
    }
    if (!is_text(line.text)) return;
    if (!line.text.starts_with('/')) return say(Kind::said, line.text);
    if (line.text.starts_with("//")) return say(Kind::said, line.text.substr(1));
    obey_command(line.text.substr(1));
}

bool LineConversation::is_text(std::string_view line) {
    const TextFault fault = check_text(line);
    if (fault == TextFault::none) return true;
    member_.hub().counters().refused_lines.add();
    reply(fault == TextFault::not_utf8 ? "! that line is not UTF-8 and was dropped"
                                       : "! that line has control characters in it and was dropped");
    return false;
}

void LineConversation::obey_command(std::string_view line) {
    const std::string_view name = take_word(line);
    for (const Command& command : commands) {
        if (command.name == name) return (this->*command.obey)(line);
    }
    reply("! there is no /", name, ": /help lists the commands");
}

void LineConversation::say(Kind kind, std::string_view text) {
    const auto said = member_.say(kind, text);
    if (!said) refuse(said.error(), text);
}

void LineConversation::nick(std::string_view argument) {
    const std::string_view name = trimmed(argument);
    if (name == session_.nick.view()) return reply("* you are ", name);
    const NameFault fault = check_nick(name, member_.hub().limits().name_length);
    if (fault != NameFault::none) return refuse_name(fault, "nick", name);
    const auto renamed = member_.rename(Name(name));
    if (!renamed) return refuse(renamed.error(), name);
    reply("* you are now ", name);
}

void LineConversation::join(std::string_view argument) {
    const std::string_view name = room_name(argument);
    const NameFault fault = check_room_name(name, member_.hub().limits().name_length);
    if (fault != NameFault::none) return refuse_name(fault, "room", name);
    const auto place = member_.join(Name(name));
    if (!place) return refuse(place.error(), name);
    reply("* you are in ", place->name.view(), " with ", people(place->members));
    if (!place->topic.empty()) reply("* [", place->name.view(), "] topic: ", place->topic);
}

void LineConversation::part(std::string_view argument) {
    const std::string_view name = room_name(argument);
    const auto left = member_.part(name);
    if (!left) return refuse(left.error(), name);
    const auto now = member_.look();
    if (!now) return reply("* you left ", left->view(), " and are in no room: /join one");
    reply("* you left ", left->view(), " and are in ", now->name.view());
}

void LineConversation::msg(std::string_view argument) {
    const std::string_view target = take_word(argument);
    if (target.empty() || argument.empty()) return reply("! whom, and what? /msg NICK TEXT");
    const auto told = member_.tell(target, argument);
    if (!told) refuse(told.error(), target);
}

void LineConversation::me(std::string_view argument) {
    if (trimmed(argument).empty()) return reply("! what do you do? /me TEXT");
    say(Kind::emote, argument);
}

void LineConversation::who(std::string_view argument) {
    const std::string_view name = room_name(argument);
    const auto roll = member_.who(name, listed_nicks);
    if (!roll) return refuse(roll.error(), name);
    const std::string prefix = "* [" + std::string(roll->room.view()) + "] ";
    std::string answer = prefix + people(roll->members) + ":";
    std::size_t line_begin = 0;
    for (const Name& each : roll->nicks) {
        if (answer.size() - line_begin > list_width) {
            line_begin = answer.size() + 1;
            answer.append("\n").append(prefix).append("and");
        }
        answer.append(" ").append(each.view());
    }
    const std::size_t others = roll->members - roll->nicks.size();
    if (others > 0)
        answer.append("\n").append(prefix).append("and ").append(std::to_string(others)).append(" others");
    reply(answer);
}

void LineConversation::rooms(std::string_view) {
    const RoomList list = member_.hub().chat().rooms(listed_rooms);
    std::string answer = "* " + std::to_string(list.all) + (list.all == 1 ? " room" : " rooms");
    for (const Directory::Listed& room : list.largest)
        answer.append("\n* [").append(room.name.view()).append("] ").append(people(room.members));
    const std::size_t others = list.all - list.largest.size();
    if (others > 0) answer += "\n* and " + std::to_string(others) + " smaller ones";
    reply(answer);
}

void LineConversation::history(std::string_view argument) {
    const std::string_view number = trimmed(argument);
    std::size_t count = usual_history;
    if (!number.empty()) {
        const auto [end, fault] = std::from_chars(number.begin(), number.end(), count);
        if (fault != std::errc() || end != number.end()) return reply("! how many? /history [N]");
    }
    const auto recalled = member_.recall(count);
    if (!recalled) return refuse(recalled.error(), {});
    const std::string_view room = recalled->room.view();
    std::string answer = "* [" + std::string(room) + "] history: " + std::to_string(recalled->messages) +
                         (recalled->messages == 1 ? " message\n" : " messages\n");
    for (std::span<const std::byte> records = recalled->records; !records.empty();) {
        append_recalled(answer, take_record(records), room);
    }
    answer.append("* [").append(room).append("] end of history at ");
    append_position(answer, recalled->last);
    reply(answer);
}

void LineConversation::topic(std::string_view argument) {
    const std::string_view text = trimmed(argument);
    if (!text.empty()) {
        const auto set = member_.say(Kind::topic, text);
        if (!set) return refuse(set.error(), text);
        return reply("* you set the topic: ", text);
    }
    const auto place = member_.look();
    if (!place) return refuse(place.error(), {});
    if (place->topic.empty()) return reply("* [", place->name.view(), "] has no topic");
    reply("* [", place->name.view(), "] topic: ", place->topic);
}

void LineConversation::ping(std::string_view argument) {
    reply("* pong", argument.empty() ? "" : " ", argument);
}

void LineConversation::help(std::string_view) {
    std::string answer = "* what you type is said to the room you are in, except:";
    for (const Command& command : commands) {
        answer.append("\n* ").append(command.usage).append(" - ").append(command.purpose);
    }
    answer += "\n* //TEXT - say /TEXT";
    reply(answer);
}

void LineConversation::quit(std::string_view) {
    reply("* goodbye");
    member_.leave(Reason::quit);
}

void LineConversation::refuse(Refusal refusal, std::string_view what) {
    reply("! ", words(refusal, what, member_.hub().limits()));
}

void LineConversation::refuse_name(NameFault fault, std::string_view what, std::string_view name) {
    reply("! ", words(fault, what, name, member_.hub().limits()));
}

}  // namespace confab::chat
