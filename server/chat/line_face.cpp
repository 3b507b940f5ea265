#include "server/chat/line_face.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

namespace confab::chat {

namespace {

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
        case Reason::moved:
        case Reason::quit:
            break;
    }
    return "";
}

// Parts of a line. The size of a literal is known to the compiler, so that copying it is a store or two.
template <std::size_t size>
constexpr std::size_t size_of(const char (&)[size]) {
    return size - 1;
}
constexpr std::size_t size_of(std::string_view text) { return text.size(); }

template <std::size_t size>
char* copy(char* out, const char (&literal)[size]) {
    std::memcpy(out, literal, size - 1);
    return out + (size - 1);
}
char* copy(char* out, std::string_view text) { return std::copy(text.begin(), text.end(), out); }

template <class... Parts>
SharedBytes join(Arena& arena, const Parts&... parts) {
    const std::size_t size = (size_of(parts) + ...);
    auto* out = reinterpret_cast<char*>(arena.reserve(size));
    ((out = copy(out, parts)), ...);
    return arena.commit(size);
}

}  // namespace

SharedBytes LineFace::encode(const Entry& entry, std::string_view room, Arena& arena) const {
    const std::string_view nick = entry.nick;
    const std::string_view text = entry.text;
    switch (entry.kind) {
        case Kind::said:
            return join(arena, "[", room, "] ", nick, ": ", text, "\n");
        case Kind::emote:
            return join(arena, "[", room, "] * ", nick, " ", text, "\n");
        case Kind::topic:
            return join(arena, "* [", room, "] ", nick, " set the topic: ", text, "\n");
        case Kind::joined:
            return join(arena, "* [", room, "] ", nick, " joined\n");
        case Kind::parted:
            return join(arena, "* [", room, "] ", nick, " left", why_left(entry.reason), "\n");
        case Kind::renamed:
            return join(arena, "* [", room, "] ", nick, " is now ", text, "\n");
        case Kind::told:
            break;
    }
    return join(arena, "[", nick, " -> you] ", text, "\n");
}

SharedBytes LineFace::encode(const Notice& notice) const {
    std::string line;
    const std::string count = std::to_string(notice.count);
    const std::string plural = notice.count == 1 ? "" : "s";
    switch (notice.kind) {
        case Notice::Kind::missed_messages:
            line = notice.count == 0 ? "! missed who came and went in "
                                     : "! missed " + count + " message" + plural + " in ";
            line += std::string(notice.room) + ": the server fell behind";
            break;
        case Notice::Kind::missed_tells:
            line = "! missed " + count + " private message" + plural + ": the server fell behind";
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
