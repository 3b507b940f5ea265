// Public: bytes in, WebSocket messages out (RFC 6455), as a server reads them.
//
// What is wrong is said at the first byte that shows it: an illegal header before its payload, a text that is
// not UTF-8 before its end, a message that is too large before any of it is kept.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "server/wire/utf8.hpp"
#include "server/wire/websocket_frame.hpp"

namespace confab::wire {

/// What a client's next bytes were.
struct WebSocketEvent {
    enum class Kind : std::uint8_t {
        need_more,  ///< all input was taken, and there has to come more
        text,       ///< a whole message, UTF-8
        binary,     ///< a whole message
        ping,       ///< to be answered by a pong with the same payload
        pong,
        close,   ///< `code` (or close_code::none), and the payload is the reason; nothing may follow
        failed,  ///< the connection must be closed, with `code`
    };
    Kind kind = Kind::need_more;
    std::uint16_t code = 0;
    std::string_view payload{};
};

/// Takes frames off a client's bytes and puts messages together. At rest it holds no memory beyond itself,
/// and it can be written out at any moment (pools/serialise.hpp), to go on elsewhere. No I/O.
class WebSocketReader {
  public:
    /// From here on messages may come compressed (deflate.hpp). Before the first.
    void expect_compressed() { compression_ = true; }

    /// Takes the next event off `input`, which is unmasked in place. The payload lies in `input`'s bytes or
    /// belongs to this until the next call. A message of more than `limit` bytes fails, compressed or
    /// inflated. After `close` and `failed` there are no more events.
    WebSocketEvent next(std::span<std::byte>& input, std::size_t limit);

    template <class Archive>
    void serialize(Archive& archive) {
        archive(header_, header_size_, in_payload_, mask_phase_, fragmented_, compression_, compressed_,
                left_, utf8_, message_, control_);
    }

  private:
    using Fault = std::uint16_t;  // a close code; 0: none

    Fault take_header(std::span<std::byte>& input, std::size_t limit);
    Fault check_start() const;
    Fault check_length(std::size_t limit);
    WebSocketEvent frame_complete(std::span<const std::byte> rest, std::size_t limit);
    WebSocketEvent inflate(bool text, std::string_view payload, std::size_t limit);
    WebSocketEvent control_complete(std::string_view payload) const;
    void unmask(std::span<std::byte> bytes);
    std::size_t header_needed() const;

    Opcode opcode() const { return static_cast<Opcode>(std::to_integer<unsigned>(header_[0]) & 0x0F); }
    bool is_control() const { return (std::to_integer<unsigned>(header_[0]) & 0x08) != 0; }
    bool is_final() const { return (std::to_integer<unsigned>(header_[0]) & 0x80) != 0; }
    bool is_text() const {
        return opcode() == Opcode::text || (opcode() == Opcode::continuation && fragmented_ == Opcode::text);
    }

    std::array<std::byte, 14> header_{};  // of the present frame, as far as it has come
    std::uint8_t header_size_ = 0;
    bool in_payload_ = false;  // true exactly when the header is complete and the payload is not
    std::uint8_t mask_phase_ = 0;
    Opcode fragmented_ = Opcode::continuation;  // the kind of message that frames belong to; or none
    bool compression_ = false;
    bool compressed_ = false;     // true exactly when the message that has begun is
    bool message_given_ = false;  // true exactly when what is in `message_` was handed out
    bool control_given_ = false;
    Utf8Checker utf8_;
    std::uint32_t left_ = 0;  // bytes of the present payload to come
    std::string message_;     // what has come of a message that is not whole
    std::string control_;     // what has come of a control frame that is not whole
};

}  // namespace confab::wire
