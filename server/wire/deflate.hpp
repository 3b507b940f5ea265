// Public: messages, compressed one by one (RFC 7692, "permessage-deflate").
//
// Both sides forget each message before the next (no context takeover): so a compressed message can be shared
// by all who hear it, as others are, and a connection keeps nothing. What zlib needs, each thread has once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace confab::wire {

/// The smallest window that zlib writes well, 2^9 bytes: right for whatever a peer can bear, and as good as
/// any for messages of a line. Peers' messages may have any.
inline constexpr int deflate_window_bits = 9;

/// `message` as the payload of a compressed one. Throws std::bad_alloc.
std::string deflate_message(std::string_view message);

/// What a compressed payload says; or the close code for one that is no such thing, or that says more than
/// `limit` bytes. No more than that is ever made of it. Throws std::bad_alloc.
std::expected<std::string, std::uint16_t> inflate_message(std::string_view payload, std::size_t limit);

}  // namespace confab::wire
