#include "server/chat/text.hpp"

#include <doctest/doctest.h>

#include <random>
#include <string>

namespace confab::chat {
namespace {

std::string utf8(char32_t point) {
    const auto tail = [](char32_t bits) { return static_cast<char>(0x80 | (bits & 0x3F)); };
    if (point < 0x80) return {static_cast<char>(point)};
    if (point < 0x800) return {static_cast<char>(0xC0 | point >> 6), tail(point)};
    if (point < 0x10000) return {static_cast<char>(0xE0 | point >> 12), tail(point >> 6), tail(point)};
    return {static_cast<char>(0xF0 | point >> 18), tail(point >> 12), tail(point >> 6), tail(point)};
}

bool is_control(char32_t point) { return point < 0x20 || (point >= 0x7F && point <= 0x9F); }
bool is_surrogate(char32_t point) { return point >= 0xD800 && point <= 0xDFFF; }

TextFault expected(char32_t point) {
    if (is_surrogate(point)) return TextFault::not_utf8;
    return is_control(point) ? TextFault::control : TextFault::none;
}

}  // namespace

TEST_CASE("every code point is text, except controls and surrogates, wherever in a word of memory it lies") {
    std::size_t wrong = 0;
    for (char32_t point = 0; point <= 0x10FFFF; ++point) {
        const std::string bytes = utf8(point);
        const std::size_t place = point % 8;
        const std::string text = std::string(place, 'a') + bytes + "bcdefgh";
        wrong += check_text(text) != expected(point);
        std::string_view rest = bytes;
        const char32_t decoded = next_code_point(rest);
        wrong += is_surrogate(point) ? decoded != not_a_code_point : decoded != point || !rest.empty();
    }
    CHECK(wrong == 0);
}

TEST_CASE("a byte is text at each place of a word exactly when it is printable ASCII") {
    for (int byte = 0; byte < 256; ++byte) {
        for (std::size_t place = 0; place < 16; ++place) {
            std::string text(16, 'x');
            text[place] = static_cast<char>(byte);
            const TextFault fault = byte >= 0x80                  ? TextFault::not_utf8
                                    : byte < 0x20 || byte == 0x7F ? TextFault::control
                                                                  : TextFault::none;
            CHECK(check_text(text) == fault);
        }
    }
}

TEST_CASE(
    "overlong forms, surrogates, cut-off sequences and numbers past the last code point are not UTF-8") {
    const auto not_utf8 = [](std::string_view bytes) {
        CAPTURE(bytes.size());
        CHECK(check_text(bytes) == TextFault::not_utf8);
        CHECK(check_text(std::string(bytes) + "more than a word of text") == TextFault::not_utf8);
    };
    not_utf8("\x80");
    not_utf8("\xBF");
    not_utf8("\xC0\x80");
    not_utf8("\xC1\xBF");
    not_utf8("\xC2");
    not_utf8("\xC2\x41");
    not_utf8("\xDF\xC0");
    not_utf8("\xE0\x80\x80");
    not_utf8("\xE0\x9F\xBF");
    not_utf8("\xE2\x82");
    not_utf8("\xE2\x28\xA1");
    not_utf8("\xED\xA0\x80");
    not_utf8("\xED\xBF\xBF");
    not_utf8("\xF0\x80\x80\x80");
    not_utf8("\xF0\x8F\xBF\xBF");
    not_utf8("\xF0\x9F\x98");
    not_utf8("\xF4\x90\x80\x80");
    not_utf8("\xF5\x80\x80\x80");
    not_utf8("\xF8\x88\x80\x80\x80");
    not_utf8("\xFE");
    not_utf8("\xFF\xFB\x01");
}

TEST_CASE("the first and last code points of each length are text") {
    for (const std::string_view text :
         {" ", "~", "\xC2\xA0", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF", "\xEE\x80\x80", "\xEF\xBF\xBF",
          "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF", ""}) {
        CHECK(check_text(text) == TextFault::none);
    }
}

TEST_CASE("checking by words finds what checking code point by code point finds") {
    std::mt19937 random(20240607);
    for (int round = 0; round < 20'000; ++round) {
        std::string text;
        for (auto length = random() % 24; length > 0; --length) {
            const auto dice = random() % 16;
            text += dice == 0   ? std::string(1, static_cast<char>(random()))
                    : dice == 1 ? utf8(random() % 0x110000)
                                : std::string(1, static_cast<char>(0x20 + random() % 0x5F));
        }
        TextFault naive = TextFault::none;
        for (std::string_view rest = text; !rest.empty() && naive == TextFault::none;) {
            const char32_t point = next_code_point(rest);
            if (point == not_a_code_point) {
                naive = TextFault::not_utf8;
            } else if (is_control(point)) {
                naive = TextFault::control;
            }
        }
        REQUIRE(check_text(text) == naive);
    }
}

}  // namespace confab::chat
