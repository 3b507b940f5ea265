// Public: UTF-8 that comes in pieces.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace confab::wire {

/// Says as early as can be that bytes are not UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing
/// past U+10FFFF). Four bytes of state, plain values.
class Utf8Checker {
  public:
    /// Takes the next bytes. False: what came so far is the beginning of no valid text. Requires: it never
    /// was.
    bool take(std::span<const std::byte> bytes);
    /// True when what came so far ends between two characters.
    bool is_whole() const { return missing_ == 0; }

    template <class Archive>
    void serialize(Archive& archive) {
        archive(missing_, least_, most_);
    }

  private:
    bool take(std::uint8_t byte);

    std::uint8_t missing_ = 0;   // bytes of the present character
    std::uint8_t least_ = 0x80;  // of its next byte
    std::uint8_t most_ = 0xBF;
};

}  // namespace confab::wire
