// Public: nicks and names of rooms.
#pragma once

#include <algorithm>
#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace confab::chat {

/// A nick or a room's name, in place: 33 bytes and no pointer, so that it can lie in memory that processes
/// share.
class Name {
  public:
    static constexpr std::size_t capacity = 32;

    Name() = default;
    /// Requires: at most `capacity` bytes.
    explicit Name(std::string_view text) : size_(static_cast<std::uint8_t>(text.size())) {
        assert(text.size() <= capacity);
        std::copy(text.begin(), text.end(), text_.begin());
    }
    std::string_view view() const { return {text_.data(), size_}; }

  private:
    std::uint8_t size_ = 0;
    std::array<char, capacity> text_;
};

enum class NameFault : std::uint8_t {
    none,
    empty,
    too_long,
    bad_character,
    reserved,  ///< guest-N is the server's to give
};

/// Names are made of letters and digits of any script and `-`, `_`, `.`: every printable character beyond
/// ASCII, but no white space and nothing invisible. So what a line says of whom cannot be forged by a name
/// with a colon or a bracket in it.
NameFault check_room_name(std::string_view name, std::size_t limit);
NameFault check_nick(std::string_view name, std::size_t limit);

/// Names are the same when they differ in the case of ASCII letters only.
bool same_name(std::string_view one, std::string_view other);
/// Equal for the same names.
std::uint32_t name_hash(std::string_view name);

}  // namespace confab::chat
