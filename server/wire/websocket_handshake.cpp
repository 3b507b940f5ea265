#include "server/wire/websocket_handshake.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "server/wire/deflate.hpp"
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

std::string_view trimmed(std::string_view text) {
    text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
    return text.substr(0, text.find_last_not_of(" \t") + 1);
}

// What stands before the next `end`, taken off `rest` with it.
std::string_view take_part(std::string_view& rest, char end) {
    const std::string_view part = rest.substr(0, rest.find(end));
    rest.remove_prefix(std::min(part.size() + 1, rest.size()));
    return trimmed(part);
}

// A number of bits for a window, as RFC 7692 has them, with or without quotation marks; 0: it is none.
int window_from(std::string_view bits) {
    if (bits.size() >= 2 && bits.starts_with('"') && bits.ends_with('"'))
        bits = bits.substr(1, bits.size() - 2);
    static constexpr std::array<std::string_view, 8> windows{"8", "9", "10", "11", "12", "13", "14", "15"};
    const auto found = std::ranges::find(windows, bits);
    return found == windows.end() ? 0 : 8 + static_cast<int>(found - windows.begin());
}

// What to answer to one offer; empty: it is none that we can keep to.
std::string answer_to(std::string_view offer) {
    if (!same_ignoring_case(take_part(offer, ';'), "permessage-deflate")) return {};
    std::vector<std::string_view> seen;
    std::string answer = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    while (!offer.empty()) {
        std::string_view value = take_part(offer, ';');
        const bool has_value = value.find('=') != std::string_view::npos;
        const std::string_view name = take_part(value, '=');
        if (std::ranges::find(seen, name) != seen.end()) return {};
        seen.push_back(name);
        if (name == "server_no_context_takeover" || name == "client_no_context_takeover") {
            if (has_value) return {};
        } else if (name == "client_max_window_bits") {
            if (has_value && window_from(value) == 0) return {};  // else we read whatever its window
        } else if (name == "server_max_window_bits") {
            if (window_from(value) < deflate_window_bits) return {};
            answer += "; server_max_window_bits=" + std::to_string(deflate_window_bits);
        } else {
            return {};
        }
    }
    return answer;
}

}  // namespace

std::string agree_on_deflate(const HttpRequestParser& request) {
    const std::string offers = request.joined("sec-websocket-extensions");
    for (std::string_view rest = offers; !rest.empty();) {
        const std::string answer = answer_to(take_part(rest, ','));
        if (!answer.empty()) return "Sec-WebSocket-Extensions: " + answer + "\r\n";
    }
    return {};
}

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

std::string accept_handshake(const HttpRequestParser& request, std::string_view protocol,
                             std::string_view extension) {
    const std::string key(*request.header("sec-websocket-key"));
    std::string answer =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: "
        "Upgrade\r\nSec-WebSocket-Accept: ";
    answer += base64(sha1(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
    if (!protocol.empty()) answer.append("\r\nSec-WebSocket-Protocol: ").append(protocol);
    return answer.append("\r\n").append(extension).append("\r\n");
}

}  // namespace confab::wire
