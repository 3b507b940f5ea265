// Public: what bytes may be text.
#pragma once

#include <cstdint>
#include <string_view>

namespace confab::chat {

enum class TextFault : std::uint8_t {
    none,
    not_utf8,  ///< overlong forms, surrogates, numbers past U+10FFFF and cut-off sequences included
    control,   ///< U+0000 to U+001F, U+007F to U+009F: they steer terminals
};

/// What is wrong with `text` first; none when it is UTF-8 without control characters.
TextFault check_text(std::string_view text);

/// No code point: what `next_code_point` gives for bytes that are not UTF-8.
inline constexpr char32_t not_a_code_point = 0xFFFFFFFF;

/// Takes the first code point off `text`. On bytes that are not UTF-8 takes one byte off and gives
/// not_a_code_point. Requires: text is not empty.
char32_t next_code_point(std::string_view& text);

}  // namespace confab::chat
