// Internal to server/wire: SHA-1 (RFC 3174), which the WebSocket handshake wants. It protects nothing here.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace confab::wire {

using Sha1 = std::array<std::byte, 20>;

Sha1 sha1(std::string_view text);

}  // namespace confab::wire
