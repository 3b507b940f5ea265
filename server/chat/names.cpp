#include "server/chat/names.hpp"

#include "server/chat/text.hpp"

namespace confab::chat {

namespace {

constexpr std::string_view reserved_prefix = "guest-";

struct Range {
    char32_t first;
    char32_t last;
};

// Beyond ASCII: control characters, spaces of all widths, and what has no width or turns the direction of
// writing.
constexpr std::array<Range, 12> invisible{{
    {0x80, 0xA0},
    {0xAD, 0xAD},
    {0x61C, 0x61C},
    {0x115F, 0x1160},
    {0x1680, 0x1680},
    {0x180B, 0x180F},
    {0x2000, 0x200F},
    {0x2028, 0x202F},
    {0x205F, 0x206F},
    {0x3000, 0x3000},
    {0xFE00, 0xFE0F},
    {0xFEFF, 0xFEFF},
}};

char lower(char letter) {
    return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter + ('a' - 'A')) : letter;
}

bool is_digit(char letter) { return letter >= '0' && letter <= '9'; }

bool allowed(char32_t point) {
    if (point < 0x80) {
        const char letter = lower(static_cast<char>(point));
        return (letter >= 'a' && letter <= 'z') || is_digit(letter) || letter == '-' || letter == '_' ||
               letter == '.';
    }
    if (point == not_a_code_point || (point & 0xFFFE) == 0xFFFE) return false;
    return std::none_of(invisible.begin(), invisible.end(),
                        [point](Range range) { return point >= range.first && point <= range.last; });
}

}  // namespace

NameFault check_room_name(std::string_view name, std::size_t limit) {
    if (name.empty()) return NameFault::empty;
    if (name.size() > limit) return NameFault::too_long;
    while (!name.empty()) {
        if (!allowed(next_code_point(name))) return NameFault::bad_character;
    }
    return NameFault::none;
}

NameFault check_nick(std::string_view name, std::size_t limit) {
    const NameFault fault = check_room_name(name, limit);
    if (fault != NameFault::none || name.size() <= reserved_prefix.size()) return fault;
    const std::string_view number = name.substr(reserved_prefix.size());
    const bool reserved = same_name(name.substr(0, reserved_prefix.size()), reserved_prefix) &&
                          std::all_of(number.begin(), number.end(), is_digit);
    return reserved ? NameFault::reserved : NameFault::none;
}

bool same_name(std::string_view one, std::string_view other) {
    return std::equal(one.begin(), one.end(), other.begin(), other.end(),
                      [](char left, char right) { return lower(left) == lower(right); });
}

std::uint32_t name_hash(std::string_view name) {
    std::uint32_t hash = 2166136261U;  // FNV-1a
    for (const char letter : name) {
        hash ^= static_cast<unsigned char>(lower(letter));
        hash *= 16777619U;
    }
    return hash;
}

}  // namespace confab::chat
