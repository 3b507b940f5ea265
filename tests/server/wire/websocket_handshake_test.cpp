#include "server/wire/websocket_handshake.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

#include "server/wire/sha1.hpp"
#include "server/wire/websocket_frame.hpp"

using namespace confab::wire;

namespace {

const HttpLimits limits;
const std::vector<std::string> no_origins;

struct Opening {
    std::string line = "GET /ws HTTP/1.1";
    std::string host = "Host: here:8080\r\n";
    std::string upgrade = "Upgrade: websocket\r\n";
    std::string connection = "Connection: Upgrade\r\n";
    std::string version = "Sec-WebSocket-Version: 13\r\n";
    std::string key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    std::string others{};

    std::string bytes() const {
        return line + "\r\n" + host + upgrade + connection + version + key + others + "\r\n";
    }
};

/// The status that it is refused with; 0 when it is not.
unsigned refusal(const Opening& opening, const std::vector<std::string>& origins = no_origins) {
    HttpRequestParser parser(limits);
    const std::string bytes = opening.bytes();
    std::string_view input = bytes;
    REQUIRE(parser.feed(input) == HttpProgress::complete);
    return check_handshake(parser, origins).status;
}

std::string hex(const Sha1& digest) {
    std::string text;
    for (const std::byte each : digest) {
        for (const int shift : {4, 0}) text += "0123456789abcdef"[std::to_integer<int>(each) >> shift & 0xF];
    }
    return text;
}

}  // namespace

TEST_CASE("SHA-1 is what RFC 3174 and FIPS 180 say it is") {
    CHECK(hex(sha1("")) == "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    CHECK(hex(sha1("abc")) == "a9993e364706816aba3e25717850c26c9cd0d89d");
    CHECK(hex(sha1("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")) ==
          "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
    CHECK(hex(sha1(std::string(1'000'000, 'a'))) == "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
}

TEST_CASE("a handshake is answered as in the example of RFC 6455") {
    HttpRequestParser parser(limits);
    const std::string bytes = Opening().bytes();
    std::string_view input = bytes;
    REQUIRE(parser.feed(input) == HttpProgress::complete);
    CHECK(check_handshake(parser, no_origins).status == 0);
    CHECK(accept_handshake(parser, "chat.v1") ==
          "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
          "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat.v1\r\n\r\n");
    CHECK(accept_handshake(parser, "").find("WebSocket-Protocol") == std::string::npos);
}

TEST_CASE("tokens of the handshake may come in any case, among others, and in several lines") {
    CHECK(refusal({.upgrade = "upgrade: h2c, WebSocket\r\n",
                   .connection = "connection: keep-alive\r\nConnection: UPGRADE\r\n"}) == 0);
}

TEST_CASE("what is no handshake is told what one is") {
    CHECK(refusal({.upgrade = ""}) == 426);
    CHECK(refusal({.upgrade = "Upgrade: h2c\r\n"}) == 426);
    CHECK(refusal({.connection = ""}) == 426);
    CHECK(refusal({.connection = "Connection: keep-alive\r\n"}) == 426);
    CHECK(refusal({.version = ""}) == 426);
    CHECK(refusal({.version = "Sec-WebSocket-Version: 8\r\n"}) == 426);
    CHECK(refusal({.version = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Version: 13\r\n"}) == 426);
    CHECK(refusal({.line = "POST /ws HTTP/1.1"}) == 405);
    CHECK(refusal({.line = "GET /ws HTTP/1.0"}) == 505);
}

TEST_CASE("a handshake needs one key of sixteen bytes") {
    CHECK(refusal({.key = ""}) == 400);
    CHECK(refusal({.key = "Sec-WebSocket-Key: short\r\n"}) == 400);
    CHECK(refusal({.key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ!==\r\n"}) == 400);
    CHECK(refusal({.key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZR==\r\n"}) == 400);
    CHECK(refusal({.key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZWFi\r\n"}) == 400);
    const std::string key = Opening().key;
    CHECK(refusal({.key = key + key}) == 400);
}

TEST_CASE("pages of this host and of the origins that are named may connect, and programs") {
    const std::vector<std::string> origins{"https://chat.example"};
    CHECK(refusal({}, origins) == 0);
    CHECK(refusal({.others = "Origin: http://here:8080\r\n"}, origins) == 0);
    CHECK(refusal({.others = "Origin: https://HERE:8080\r\n"}, origins) == 0);
    CHECK(refusal({.others = "Origin: https://chat.example\r\n"}, origins) == 0);
    CHECK(refusal({.others = "Origin: http://chat.example\r\n"}, origins) == 403);
    CHECK(refusal({.others = "Origin: http://here:9090\r\n"}, origins) == 403);
    CHECK(refusal({.others = "Origin: http://there.here:8080\r\n"}, origins) == 403);
    CHECK(refusal({.others = "Origin: null\r\n"}, origins) == 403);
    CHECK(refusal({.others = "Origin: http://here:8080\r\nOrigin: http://here:8080\r\n"}, origins) == 400);
}

TEST_CASE("13: of the offers to compress, the first that can be kept to is agreed on") {
    const auto agreed = [](const std::string& lines) {
        HttpRequestParser parser(limits);
        const std::string bytes = Opening{.others = lines}.bytes();
        std::string_view input = bytes;
        REQUIRE(parser.feed(input) == HttpProgress::complete);
        return agree_on_deflate(parser);
    };
    const auto offer = [&](const std::string& what) {
        return agreed("Sec-WebSocket-Extensions: " + what + "\r\n");
    };
    const std::string usual =
        "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; "
        "client_no_context_takeover\r\n";
    const std::string small = usual.substr(0, usual.size() - 2) + "; server_max_window_bits=9\r\n";
    CHECK(agreed("").empty());
    CHECK(offer("permessage-deflate") == usual);
    CHECK(offer("permessage-deflate; client_max_window_bits") == usual);
    CHECK(offer("permessage-deflate;client_max_window_bits=9 ; client_no_context_takeover") == usual);
    CHECK(offer("permessage-deflate; server_no_context_takeover") == usual);
    CHECK(offer("permessage-deflate; server_max_window_bits=9") == small);
    CHECK(offer("permessage-deflate; server_max_window_bits=\"15\"") == small);
    CHECK(offer("x-webkit-deflate-frame, permessage-deflate") == usual);
    CHECK(offer("permessage-deflate; server_max_window_bits=8, permessage-deflate") == usual);
    CHECK(agreed("Sec-WebSocket-Extensions: other\r\nSec-WebSocket-Extensions: permessage-deflate\r\n") ==
          usual);
    for (const char* const bad :
         {"other", "permessage-deflate; unknown", "permessage-deflate; server_max_window_bits=8",
          "permessage-deflate; server_max_window_bits", "permessage-deflate; server_max_window_bits=16",
          "permessage-deflate; client_max_window_bits=7", "permessage-deflate; server_no_context_takeover=1",
          "permessage-deflate; client_max_window_bits; client_max_window_bits"})
        CHECK(offer(bad).empty());
}

TEST_CASE("a server's frames say their length the shortest way") {
    CHECK(frame(Opcode::text, "hello") == "\x81\x05hello");
    CHECK(frame(Opcode::pong, "") == std::string("\x8A\x00", 2));
    CHECK(frame(Opcode::text, std::string(126, 'x')).substr(0, 4) == std::string("\x81\x7E\x00\x7E", 4));
    CHECK(frame(Opcode::binary, std::string(65536, 'x')).substr(0, 10) ==
          std::string("\x82\x7F\x00\x00\x00\x00\x00\x01\x00\x00", 10));
}

TEST_CASE("a close frame carries a code and as much of the reason as fits, whole characters") {
    CHECK(close_frame(close_code::none) == std::string("\x88\x00", 2));
    CHECK(close_frame(1000, "bye") ==
          "\x88\x05\x03\xE8"
          "bye");
    const std::string reason = std::string(122, 'x') + "\xE2\x82\xAC";
    CHECK(close_frame(1002, reason) == "\x88\x7C\x03\xEA" + std::string(122, 'x'));
}
