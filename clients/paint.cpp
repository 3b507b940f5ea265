#include "clients/paint.hpp"

#include <array>
#include <cstdint>

namespace confab {

namespace {

constexpr std::string_view plain = "\033[0m";
constexpr std::string_view dim = "\033[2m";
constexpr std::string_view red = "\033[31m";

// Legible on dark and on light grounds.
constexpr std::array<std::string_view, 10> nick_colours{"\033[32m", "\033[33m", "\033[34m", "\033[35m",
                                                        "\033[36m", "\033[92m", "\033[93m", "\033[94m",
                                                        "\033[95m", "\033[96m"};

// FNV-1a (draft-eastlake-fnv): spreads short, similar names well.
std::string_view colour_of(std::string_view nick) {
    std::uint32_t hash = 2166136261U;
    for (const char c : nick) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
    return nick_colours[hash % nick_colours.size()];
}

std::string without_controls(std::string_view line) {
    std::string text(line);
    for (char& c : text) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
    }
    return text;
}

/// Where the nick of a line stands: "[room] nick: text", "[nick -> you] text".
struct Stretch {
    std::size_t begin = 0;
    std::size_t size = 0;
};

Stretch nick_in(std::string_view line) {
    if (!line.starts_with('[')) return {};
    const auto close = line.find(']');
    if (close == std::string_view::npos) return {};
    const auto arrow = line.find(" -> ");
    if (arrow < close) return {.begin = 1, .size = arrow - 1};
    const auto begin = close + 2;
    const auto colon = line.find(": ", begin);
    if (begin >= line.size() || colon == std::string_view::npos) return {};
    return {.begin = begin, .size = colon - begin};
}

std::string wrap(std::string_view colour, std::string_view text) {
    return std::string(colour).append(text).append(plain);
}

}  // namespace

std::string paint(std::string_view line) {
    std::string text = without_controls(line);
    if (text.starts_with("* ")) return wrap(dim, text);
    if (text.starts_with("! ")) return wrap(red, text);
    const Stretch nick = nick_in(text);
    if (nick.size == 0) return text;
    const std::string name = text.substr(nick.begin, nick.size);
    return wrap(dim, text.substr(0, nick.begin)) + wrap(colour_of(name), name) +
           text.substr(nick.begin + nick.size);
}

}  // namespace confab
