// Internal to tests: the frames of a WebSocket client, good and bad.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace confab::wire {

/// A frame with these first four bits (FIN and the reserved ones) and this opcode, masked.
inline std::string client_frame(unsigned bits, unsigned opcode, std::string_view payload) {
    static constexpr std::string_view mask = "\x37\xfa\x21\x3d";
    std::string bytes{static_cast<char>(bits << 4 | opcode)};
    const auto append_length = [&](unsigned code, int size) {
        bytes += static_cast<char>(0x80 | code);
        for (int i = size - 1; i >= 0; --i) bytes += static_cast<char>(payload.size() >> 8 * i & 0xFF);
    };
    if (payload.size() < 126) {
        append_length(static_cast<unsigned>(payload.size()), 0);
    } else if (payload.size() < 65536) {
        append_length(126, 2);
    } else {
        append_length(127, 8);
    }
    bytes += mask;
    for (std::size_t i = 0; i < payload.size(); ++i) bytes += static_cast<char>(payload[i] ^ mask[i % 4]);
    return bytes;
}

inline constexpr unsigned fin = 8;

inline std::string text(std::string_view payload) { return client_frame(fin, 1, payload); }
inline std::string binary(std::string_view payload) { return client_frame(fin, 2, payload); }
inline std::string ping(std::string_view payload) { return client_frame(fin, 9, payload); }
inline std::string pong(std::string_view payload) { return client_frame(fin, 10, payload); }
inline std::string closing(std::string_view payload) { return client_frame(fin, 8, payload); }
inline std::string closing(unsigned code, std::string_view reason = {}) {
    std::string payload{static_cast<char>(code >> 8), static_cast<char>(code & 0xFF)};
    return closing(payload.append(reason));
}

}  // namespace confab::wire
