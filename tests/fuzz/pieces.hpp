// Internal to tests: one input for a parser, whole and torn.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace confab::fuzz {

/// Ends the program, as libFuzzer wants to be told, if what must always be so is not.
inline void require(bool held) {
    if (!held) std::abort();
}

/// Calls `take(piece)` with pieces of `bytes` of the given size; 0: in one.
template <class Take>
void in_pieces(std::string_view bytes, std::size_t size, Take take) {
    if (size == 0) size = bytes.size();
    while (!bytes.empty()) {
        const std::string_view piece = bytes.substr(0, size);
        bytes.remove_prefix(piece.size());
        if (!take(piece)) return;
    }
}

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
    return {reinterpret_cast<const char*>(data), size};
}

}  // namespace confab::fuzz
