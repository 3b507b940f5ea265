#include "server/wire/websocket_handshake.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "server/wire/sha1.hpp"

namespace confab::wire {

namespace {

constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::string base64(std::span<const std::byte> bytes) {
    std::string text;
    for (; !bytes.empty(); bytes = bytes.subspan(std::min<std::size_t>(3, bytes.size()))) {
        std::uint32_t group = 0;
        for (std::size_t i = 0; i < 3; ++i)
            group = group << 8 | (i < bytes.size() ? std::to_integer<std::uint32_t>(bytes[i]) : 0);
        for (std::size_t i = 0; i < 4; ++i)
            text += i <= bytes.size() ? alphabet[group >> (18 - 6 * i) & 0x3F] : '=';
    }
    return text;
}

// Sixteen bytes in base64: 22 characters, of the last of which two bits count, and two equals signs.
bool is_key(std::string_view key) {
    if (key.size() != 24 || !key.ends_with("==")) return false;
    const std::string_view digits = key.substr(0, 22);
    return digits.find_first_not_of(alphabet) == std::string_view::npos &&
           std::string_view("AQgw").find(digits.back()) != std::string_view::npos;
}

// A page's origin is a scheme and the host that it came from.
bool is_own(std::string_view origin, std::string_view host) {
    const std::size_t scheme = origin.find("://");
    return scheme != std::string_view::npos && same_ignoring_case(origin.substr(scheme + 3), host);
}

}  // namespace

HandshakeRefusal check_handshake(const HttpRequestParser& request, std::span<const std::string> origins) {
    if (request.method() != HttpMethod::get)
        return {.status = 405, .headers = "Allow: GET\r\n", .reason = "a WebSocket begins with GET"};
    if (!request.is_1_1()) return {.status = 505, .reason = "a WebSocket needs HTTP/1.1"};
    if (!request.has_token("upgrade", "websocket") || !request.has_token("connection", "upgrade")) {
        return {.status = 426,
                .headers = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
                .reason = "this is the address of a WebSocket"};
    }
    if (request.count("sec-websocket-version") != 1 || request.header("sec-websocket-version") != "13") {
        return {.status = 426,
                .headers = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
                .reason = "only version 13 is spoken here"};
    }
    if (request.count("sec-websocket-key") != 1 || !is_key(request.header("sec-websocket-key").value_or("")))
        return {.status = 400, .reason = "Sec-WebSocket-Key is not what it should be"};
    if (!request.body().empty()) return {.status = 400, .reason = "a WebSocket begins without a body"};
    if (request.count("origin") > 1) return {.status = 400, .reason = "more than one Origin"};
    const std::string_view origin = request.header("origin").value_or("");
    const bool welcome = origin.empty() || is_own(origin, request.header("host").value_or("")) ||
                         std::ranges::any_of(origins, [&](std::string_view allowed) {
                             return same_ignoring_case(allowed, origin);
                         });
    if (!welcome) return {.status = 403, .reason = "pages of that origin may not connect"};
    return {};
}

std::string accept_handshake(const HttpRequestParser& request, std::string_view protocol) {
    const std::string key(*request.header("sec-websocket-key"));
    std::string answer =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: "
        "Upgrade\r\nSec-WebSocket-Accept: ";
    answer += base64(sha1(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
    if (!protocol.empty()) answer.append("\r\nSec-WebSocket-Protocol: ").append(protocol);
    return answer.append("\r\n\r\n");
}

}  // namespace confab::wire
