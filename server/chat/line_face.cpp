#include "server/chat/line_face.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace confab::chat {

namespace {

using Parts = std::array<std::string_view, 7>;

std::string_view why_left(Reason reason) {
    switch (reason) {
        case Reason::lost:
            return " (connection lost)";
        case Reason::idle:
            return " (idle)";
        case Reason::too_slow:
            return " (too slow)";
        case Reason::drain:
            return " (server is going down)";
        case Reason::none:
        case Reason::quit:
            break;
    }
    return "";
}

Parts parts_of(const Entry& entry, std::string_view room) {
    switch (entry.kind) {
        case Kind::said:
            return {"[", room, "] ", entry.nick, ": ", entry.text, "\n"};
        case Kind::emote:
            return {"[", room, "] * ", entry.nick, " ", entry.text, "\n"};
        case Kind::topic:
            return {"* [", room, "] ", entry.nick, " set the topic: ", entry.text, "\n"};
        case Kind::joined:
            return {"* [", room, "] ", entry.nick, " joined\n"};
        case Kind::parted:
            return {"* [", room, "] ", entry.nick, " left", why_left(entry.reason), "\n"};
        case Kind::renamed:
            return {"* [", room, "] ", entry.nick, " is now ", entry.text, "\n"};
        case Kind::told:
            break;
    }
    return {"[", entry.nick, " -> you] ", entry.text, "\n"};
}

}  // namespace

SharedBytes LineFace::encode(const Entry& entry, std::string_view room, Arena& arena) const {
    const Parts parts = parts_of(entry, room);
    std::size_t size = 0;
    for (const std::string_view part : parts) size += part.size();
    auto* out = reinterpret_cast<char*>(arena.reserve(size));
    for (const std::string_view part : parts) out = std::copy(part.begin(), part.end(), out);
    return arena.commit(size);
}

SharedBytes LineFace::encode(const Notice& notice) const {
    std::string line;
    const std::string count = std::to_string(notice.count) + (notice.count == 1 ? "" : "");
    const std::string_view plural = notice.count == 1 ? "" : "s";
    switch (notice.kind) {
        case Notice::Kind::missed_messages:
            line = notice.count == 0 ? "! missed who came and went in "
                                     : "! missed " + count + " message" + std::string(plural) + " in ";
            line += std::string(notice.room) + ": the server fell behind";
            break;
        case Notice::Kind::missed_tells:
            line =
                "! missed " + count + " private message" + std::string(plural) + ": the server fell behind";
            break;
        case Notice::Kind::too_slow:
            line = "! you read too slowly: goodbye";
            break;
        case Notice::Kind::idle:
            line = "! you were silent for too long: goodbye";
            break;
        case Notice::Kind::going_down:
            line = "* server is going down: goodbye";
            break;
    }
    line += '\n';
    return SharedBytes::copy_of(std::as_bytes(std::span(line)));
}

const LineFace& line_face() {
    static const LineFace face;
    return face;
}

void append_position(std::string& out, const Position& position) {
    std::array<char, 40> digits;
    char* end = std::to_chars(digits.begin(), digits.end(), position.epoch, 36).ptr;
    *end++ = '/';
    end = std::to_chars(end, digits.end(), position.seq).ptr;
    out.append(digits.begin(), end);
}

void append_recalled(std::string& out, const Entry& entry, std::string_view room) {
    out.append("* [").append(room).append("] ");
    append_position(out, entry.position);
    const bool emote = entry.kind == Kind::emote;
    out.append(emote ? " * " : " ").append(entry.nick);
    out.append(entry.kind == Kind::said ? ": "
               : emote                  ? " "
                                        : " set the topic: ")
        .append(entry.text)
        .append("\n");
}

}  // namespace confab::chat
