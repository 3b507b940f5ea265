#include "server/wire/websocket_reader.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "server/wire/deflate.hpp"

namespace confab::wire {

namespace {

using Kind = WebSocketEvent::Kind;

std::string_view text_of(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

WebSocketEvent failure(std::uint16_t code) { return {.kind = Kind::failed, .code = code}; }

}  // namespace

WebSocketEvent WebSocketReader::next(std::span<std::byte>& input, std::size_t limit) {
    if (std::exchange(message_given_, false)) message_ = {};
    if (std::exchange(control_given_, false)) control_ = {};
    while (true) {
        if (!in_payload_) {
            if (const Fault fault = take_header(input, limit); fault != 0) return failure(fault);
            if (!in_payload_) return {};
        }
        const std::span<std::byte> piece = input.first(std::min<std::size_t>(left_, input.size()));
        input = input.subspan(piece.size());
        left_ -= static_cast<std::uint32_t>(piece.size());
        unmask(piece);
        if (!is_control() && is_text() && !compressed_ && !utf8_.take(piece))
            return failure(close_code::not_text);
        if (left_ > 0) {
            (is_control() ? control_ : message_).append(text_of(piece));
            return {};
        }
        in_payload_ = false;
        header_size_ = 0;
        const WebSocketEvent event = frame_complete(piece, limit);
        if (event.kind != Kind::need_more) return event;
    }
}

// `rest`: what is not kept of its payload.
WebSocketEvent WebSocketReader::frame_complete(std::span<const std::byte> rest, std::size_t limit) {
    if (is_control()) {
        if (control_.empty()) return control_complete(text_of(rest));
        control_given_ = true;
        return control_complete(control_.append(text_of(rest)));
    }
    if (opcode() != Opcode::continuation) fragmented_ = opcode();
    if (!is_final()) {
        message_.append(text_of(rest));
        return {};
    }
    const bool text = std::exchange(fragmented_, Opcode::continuation) == Opcode::text;
    if (text && !utf8_.is_whole()) return failure(close_code::not_text);
    std::string_view payload = text_of(rest);
    if (!message_.empty()) {
        message_given_ = true;
        payload = message_.append(payload);
    }
    if (std::exchange(compressed_, false)) return inflate(text, payload, limit);
    return {.kind = text ? Kind::text : Kind::binary, .payload = payload};
}

WebSocketEvent WebSocketReader::inflate(bool text, std::string_view payload, std::size_t limit) {
    auto inflated = inflate_message(payload, limit);
    if (!inflated) return failure(inflated.error());
    Utf8Checker utf8;
    if (text && (!utf8.take(std::as_bytes(std::span(*inflated))) || !utf8.is_whole()))
        return failure(close_code::not_text);
    message_given_ = true;
    message_ = *std::move(inflated);
    return {.kind = text ? Kind::text : Kind::binary, .payload = message_};
}

WebSocketEvent WebSocketReader::control_complete(std::string_view payload) const {
    if (opcode() == Opcode::ping) return {.kind = Kind::ping, .payload = payload};
    if (opcode() == Opcode::pong) return {.kind = Kind::pong, .payload = payload};
    if (payload.empty()) return {.kind = Kind::close, .code = close_code::none};
    if (payload.size() == 1) return failure(close_code::protocol_error);
    const auto code = static_cast<std::uint16_t>(static_cast<unsigned char>(payload[0]) << 8 |
                                                 static_cast<unsigned char>(payload[1]));
    if (!may_be_sent(code)) return failure(close_code::protocol_error);
    const std::string_view reason = payload.substr(2);
    Utf8Checker utf8;
    if (!utf8.take(std::as_bytes(std::span(reason))) || !utf8.is_whole())
        return failure(close_code::not_text);
    return {.kind = Kind::close, .code = code, .payload = reason};
}

// Takes what belongs to the header, and looks at each part as soon as it is there.
WebSocketReader::Fault WebSocketReader::take_header(std::span<std::byte>& input, std::size_t limit) {
    while (header_size_ < header_needed()) {
        if (input.empty()) return 0;
        header_[header_size_++] = input.front();
        input = input.subspan(1);
        if (header_size_ > 2) continue;
        if (const Fault fault = check_start(); fault != 0) return fault;
    }
    if (const Fault fault = check_length(limit); fault != 0) return fault;
    in_payload_ = true;
    if (!is_control() && opcode() != Opcode::continuation)
        compressed_ = (std::to_integer<unsigned>(header_[0]) & 0x40) != 0;
    mask_phase_ = 0;
    return 0;
}

std::size_t WebSocketReader::header_needed() const {
    if (header_size_ < 2) return 2;
    const unsigned length = std::to_integer<unsigned>(header_[1]) & 0x7F;
    const std::size_t extended = length == 126 ? 2 : length == 127 ? 8 : 0;
    return 2 + extended + 4;
}

// The first two bytes, as far as they have come.
WebSocketReader::Fault WebSocketReader::check_start() const {
    const unsigned first = std::to_integer<unsigned>(header_[0]);
    const Opcode code = opcode();
    const bool known = code <= Opcode::binary || (code >= Opcode::close && code <= Opcode::pong);
    // One reserved bit says "compressed", once for a message and only if that was agreed on.
    const bool begins = code == Opcode::text || code == Opcode::binary;
    const unsigned reserved = compression_ && begins ? 0x30 : 0x70;
    if ((first & reserved) != 0 || !known || (is_control() && !is_final())) return close_code::protocol_error;
    const bool continues = code == Opcode::continuation;
    if (!is_control() && continues != (fragmented_ != Opcode::continuation))
        return close_code::protocol_error;
    if (header_size_ < 2) return 0;
    const unsigned second = std::to_integer<unsigned>(header_[1]);
    if ((second & 0x80) == 0) return close_code::protocol_error;  // not masked
    if (is_control() && (second & 0x7F) > control_payload) return close_code::protocol_error;
    return 0;
}

WebSocketReader::Fault WebSocketReader::check_length(std::size_t limit) {
    const std::size_t extended = header_size_ - 6U;
    std::uint64_t length = std::to_integer<unsigned>(header_[1]) & 0x7F;
    if (extended > 0) {
        length = 0;
        for (std::size_t i = 0; i < extended; ++i)
            length = length << 8 | std::to_integer<unsigned>(header_[2 + i]);
        const std::uint64_t least = extended == 2 ? 126 : 65536;
        if (length < least || length >> 63 != 0) return close_code::protocol_error;
    }
    const std::uint64_t most = std::min<std::uint64_t>(limit, std::numeric_limits<std::uint32_t>::max());
    if (!is_control() && length > most - std::min<std::uint64_t>(message_.size(), most))
        return close_code::too_big;
    left_ = static_cast<std::uint32_t>(length);
    return 0;
}

// The mask is the last four bytes of the header.
void WebSocketReader::unmask(std::span<std::byte> bytes) {
    std::array<std::byte, 8> mask;
    for (std::size_t i = 0; i < mask.size(); ++i) mask[i] = header_[header_size_ - 4 + (mask_phase_ + i) % 4];
    mask_phase_ = static_cast<std::uint8_t>((mask_phase_ + bytes.size()) % 4);
    std::uint64_t pattern = 0;
    std::memcpy(&pattern, mask.data(), sizeof pattern);
    while (bytes.size() >= sizeof pattern) {
        std::uint64_t eight = 0;
        std::memcpy(&eight, bytes.data(), sizeof eight);
        eight ^= pattern;
        std::memcpy(bytes.data(), &eight, sizeof eight);
        bytes = bytes.subspan(sizeof pattern);
    }
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] ^= mask[i];
}

}  // namespace confab::wire
