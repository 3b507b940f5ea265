// Public: the frames of WebSocket (RFC 6455), as a server writes them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace confab::wire {

enum class Opcode : std::uint8_t { continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 };

/// Bytes that a control frame carries, at most (RFC 6455 5.5).
inline constexpr std::size_t control_payload = 125;

/// Why a connection is closed (RFC 6455 7.4). What an application adds is from 3000 to 4999.
namespace close_code {
inline constexpr std::uint16_t normal = 1000;
inline constexpr std::uint16_t going_away = 1001;
inline constexpr std::uint16_t protocol_error = 1002;
inline constexpr std::uint16_t unacceptable = 1003;
inline constexpr std::uint16_t none = 1005;  ///< never sent: the peer gave no reason
inline constexpr std::uint16_t not_text = 1007;
inline constexpr std::uint16_t policy = 1008;
inline constexpr std::uint16_t too_big = 1009;
inline constexpr std::uint16_t try_again_later = 1013;
}  // namespace close_code

/// True for codes that a peer may send.
bool may_be_sent(std::uint16_t code);

/// What stands before the payload of an unfragmented frame. A server does not mask, so many connections can
/// share its frames.
struct FrameHeader {
    std::array<std::byte, 10> bytes;
    std::size_t size;

    std::span<const std::byte> view() const { return std::span(bytes).first(size); }
};
/// `compressed`: the payload is (RFC 7692).
FrameHeader frame_header(Opcode opcode, std::size_t payload, bool compressed = false);

/// Bytes that `frame_header` takes for such a payload.
constexpr std::size_t frame_header_size(std::size_t payload) {
    return payload < 126 ? 2 : payload < 65536 ? 4 : 10;
}

/// A whole frame.
std::string frame(Opcode opcode, std::string_view payload, bool compressed = false);
/// A close frame. With `close_code::none` it says nothing. `reason` is UTF-8; what does not fit is left out.
std::string close_frame(std::uint16_t code, std::string_view reason = {});

}  // namespace confab::wire
