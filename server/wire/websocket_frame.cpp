#include "server/wire/websocket_frame.hpp"

namespace confab::wire {

bool may_be_sent(std::uint16_t code) {
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

FrameHeader frame_header(Opcode opcode, std::size_t payload, bool compressed) {
    FrameHeader header{.bytes = {}, .size = frame_header_size(payload)};
    header.bytes[0] =
        static_cast<std::byte>(0x80 | (compressed ? 0x40U : 0U) | static_cast<unsigned>(opcode));
    const std::size_t length_bytes = header.size - 2;
    header.bytes[1] = static_cast<std::byte>(length_bytes == 0 ? payload : length_bytes == 2 ? 126 : 127);
    for (std::size_t i = 0; i < length_bytes; ++i)
        header.bytes[2 + i] = static_cast<std::byte>(payload >> 8 * (length_bytes - 1 - i) & 0xFF);
    return header;
}

std::string frame(Opcode opcode, std::string_view payload, bool compressed) {
    const FrameHeader header = frame_header(opcode, payload.size(), compressed);
    std::string bytes(reinterpret_cast<const char*>(header.bytes.data()), header.size);
    return bytes.append(payload);
}

std::string close_frame(std::uint16_t code, std::string_view reason) {
    if (code == close_code::none) return frame(Opcode::close, {});
    std::string payload{static_cast<char>(code >> 8), static_cast<char>(code & 0xFF)};
    std::size_t size = reason.size();
    if (size > control_payload - 2) {
        size = control_payload - 2;
        while (size > 0 && (static_cast<unsigned char>(reason[size]) & 0xC0) == 0x80) --size;
    }
    return frame(Opcode::close, payload.append(reason.substr(0, size)));
}

}  // namespace confab::wire
