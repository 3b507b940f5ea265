// Internal to tests: bytes to send.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace confab::system_tests {

// Every value of a byte, in an order that repeats only after a long time: what is lost, doubled or swapped
// shows.
inline std::string noise(std::size_t count, std::uint64_t seed = 1) {
    std::string bytes(count, '\0');
    std::uint64_t state = seed * 0x9e3779b97f4a7c15U | 1U;
    for (char& byte : bytes) {
        state ^= state << 13U;  // xorshift64
        state ^= state >> 7U;
        state ^= state << 17U;
        byte = static_cast<char>(state >> 32U);
    }
    return bytes;
}

inline std::string every_byte() {
    std::string bytes;
    for (int value = 0; value < 256; ++value) bytes += static_cast<char>(value);
    return bytes;
}

inline std::string times(std::size_t count, const std::string& text) {
    std::string repeated;
    for (std::size_t i = 0; i < count; ++i) repeated += text;
    return repeated;
}

}  // namespace confab::system_tests
