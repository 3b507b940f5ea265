// Internal to server: JSON that is written in one go, its size known before.
//
// What is written are the chat's texts and names: UTF-8 without control characters (text.hpp), so that only
// the quotation mark and the backslash have to be escaped.
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace confab::chat {

/// A text as the inside of a JSON string.
struct JsonText {
    explicit JsonText(std::string_view plain)
        : text(plain),
          escapes(static_cast<std::size_t>(
              std::ranges::count_if(plain, [](char c) { return c == '"' || c == '\\'; }))) {}
    std::size_t size() const { return text.size() + escapes; }

    std::string_view text;
    std::size_t escapes;
};

/// A number, in this base.
struct JsonNumber {
    explicit JsonNumber(std::uint64_t number, int base = 10)
        : size(static_cast<std::size_t>(
              std::to_chars(digits.data(), digits.data() + digits.size(), number, base).ptr -
              digits.data())) {}
    std::array<char, 20> digits;
    std::size_t size;
};

/// An epoch, as the line protocol writes it: with the digits 0-9a-z, since JavaScript counts to 2^53 only.
inline JsonNumber json_epoch(std::uint64_t epoch) { return JsonNumber(epoch, 36); }

// The sizes of parts, and their bytes. The size of a literal is known to the compiler.

template <std::size_t size>
constexpr std::size_t json_size(const char (&)[size]) {
    return size - 1;
}
inline std::size_t json_size(const JsonText& text) { return text.size(); }
inline std::size_t json_size(const JsonNumber& number) { return number.size; }
inline std::size_t json_size(std::string_view json) { return json.size(); }

template <std::size_t size>
char* json_copy(char* out, const char (&literal)[size]) {
    std::memcpy(out, literal, size - 1);
    return out + (size - 1);
}
inline char* json_copy(char* out, const JsonNumber& number) {
    return std::copy_n(number.digits.data(), number.size, out);
}
inline char* json_copy(char* out, std::string_view json) { return std::ranges::copy(json, out).out; }
inline char* json_copy(char* out, const JsonText& text) {
    if (text.escapes == 0) return json_copy(out, text.text);
    for (const char c : text.text) {
        if (c == '"' || c == '\\') *out++ = '\\';
        *out++ = c;
    }
    return out;
}

/// Appends these parts to `out`.
template <class... Parts>
void json_append(std::string& out, const Parts&... parts) {
    const std::size_t before = out.size();
    out.resize(before + (json_size(parts) + ...));
    char* end = out.data() + before;
    ((end = json_copy(end, parts)), ...);
}

}  // namespace confab::chat
