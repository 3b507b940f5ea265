// Public: how a WebSocket begins (RFC 6455 section 4), as a server sees it.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "server/wire/http_request_parser.hpp"

namespace confab::wire {

/// Why a request is no beginning of a WebSocket here: the status, header lines that go with it, each ended by
/// CRLF, and a sentence.
struct HandshakeRefusal {
    unsigned status = 0;  ///< 0: there is nothing against it
    std::string_view headers{};
    std::string_view reason{};
};

/// Looks at `request`. `origins`: pages of which other sites may connect, as browsers name them in Origin
/// ("https://example.org"); pages of this host always may, and so may who names no origin: no browser.
HandshakeRefusal check_handshake(const HttpRequestParser& request, std::span<const std::string> origins);

/// The extension header line, ended by CRLF, that agrees to compress messages one by one (deflate.hpp), with
/// the first of the client's offers that we can keep to; empty: there is none.
std::string agree_on_deflate(const HttpRequestParser& request);

/// The whole answer that turns the connection into a WebSocket. `protocol`: the subprotocol that was agreed
/// on; empty: none. `extension`: a header line, ended by CRLF, or nothing. Requires: check_handshake has
/// nothing against it.
std::string accept_handshake(const HttpRequestParser& request, std::string_view protocol,
                             std::string_view extension = {});

}  // namespace confab::wire
