#include "server/wire/utf8.hpp"

#include <cstring>

namespace confab::wire {

bool Utf8Checker::take(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        std::uint64_t eight = 0;
        if (missing_ == 0 && bytes.size() >= sizeof eight) {
            std::memcpy(&eight, bytes.data(), sizeof eight);
            if ((eight & 0x8080808080808080) == 0) {  // ASCII
                bytes = bytes.subspan(sizeof eight);
                continue;
            }
        }
        if (!take(std::to_integer<std::uint8_t>(bytes.front()))) return false;
        bytes = bytes.subspan(1);
    }
    return true;
}

// The table of RFC 3629, section 4: only the second byte is ever bounded more closely.
bool Utf8Checker::take(std::uint8_t byte) {
    if (missing_ > 0) {
        if (byte < least_ || byte > most_) return false;
        --missing_;
        least_ = 0x80;
        most_ = 0xBF;
        return true;
    }
    if (byte < 0x80) return true;
    if (byte < 0xC2 || byte > 0xF4) return false;
    missing_ = byte < 0xE0 ? 1 : byte < 0xF0 ? 2 : 3;
    if (byte == 0xE0) least_ = 0xA0;
    if (byte == 0xED) most_ = 0x9F;
    if (byte == 0xF0) least_ = 0x90;
    if (byte == 0xF4) most_ = 0x8F;
    return true;
}

}  // namespace confab::wire
