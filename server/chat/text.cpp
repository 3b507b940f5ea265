#include "server/chat/text.hpp"

#include <cstddef>
#include <cstring>

namespace confab::chat {

namespace {

constexpr std::uint64_t every_byte(std::uint64_t byte) { return byte * 0x0101010101010101; }

// True when all eight bytes are printable ASCII. In each byte the top bit of `odd` is set when the byte is
// over 0x7F, when adding 1 carries 0x7F there, or when subtracting 0x20 borrows; a borrow can reach a higher
// byte only from one that is odd already, so no eight bytes pass by mistake.
bool printable_ascii(std::uint64_t bytes) {
    const std::uint64_t odd = bytes | (bytes + every_byte(0x01)) | (bytes - every_byte(0x20));
    return (odd & every_byte(0x80)) == 0;
}

bool is_continuation(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

}  // namespace

char32_t next_code_point(std::string_view& text) {
    const auto lead = static_cast<unsigned char>(text.front());
    std::size_t length = 1;
    char32_t point = lead;
    char32_t smallest = 0;  // what a sequence of this length is for: anything below is an overlong form
    if (lead >= 0xF8) {
        point = not_a_code_point;
    } else if (lead >= 0xF0) {
        length = 4, point = lead & 0x07U, smallest = 0x10000;
    } else if (lead >= 0xE0) {
        length = 3, point = lead & 0x0FU, smallest = 0x800;
    } else if (lead >= 0xC0) {
        length = 2, point = lead & 0x1FU, smallest = 0x80;
    } else if (lead >= 0x80) {
        point = not_a_code_point;
    }
    if (text.size() < length) point = not_a_code_point;
    for (std::size_t i = 1; i < length && point != not_a_code_point; ++i) {
        point = is_continuation(text[i]) ? point << 6 | (static_cast<unsigned char>(text[i]) & 0x3FU)
                                         : not_a_code_point;
    }
    const bool surrogate = point >= 0xD800 && point <= 0xDFFF;
    if (point < smallest || point > 0x10FFFF || surrogate) point = not_a_code_point;
    text.remove_prefix(point == not_a_code_point ? 1 : length);
    return point;
}

TextFault check_text(std::string_view text) {
    while (!text.empty()) {
        std::uint64_t eight = 0;
        if (text.size() >= sizeof eight) {
            std::memcpy(&eight, text.data(), sizeof eight);
            if (printable_ascii(eight)) {
                text.remove_prefix(sizeof eight);
                continue;
            }
        }
        const char32_t point = next_code_point(text);
        if (point == not_a_code_point) return TextFault::not_utf8;
        if (point < 0x20 || (point >= 0x7F && point <= 0x9F)) return TextFault::control;
    }
    return TextFault::none;
}

}  // namespace confab::chat
