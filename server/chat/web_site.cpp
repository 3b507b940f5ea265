#include "server/chat/web_site.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "server/chat/json_conversation.hpp"
#include "server/chat/web_files.hpp"
#include "server/wire/websocket_handshake.hpp"

namespace confab::chat {

namespace {

// The page needs its own files and its own socket, and nothing else: so nothing else is allowed to it, should
// it ever be made to ask.
constexpr std::string_view page_headers =
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    "Referrer-Policy: no-referrer\r\n"
    "Cache-Control: no-cache\r\n";

}  // namespace

HttpAnswer WebSite::answer(const wire::HttpRequestParser& request) {
    const std::string_view path = request.target().substr(0, request.target().find('?'));
    if (path == "/ws") return open_socket(request);
    const auto file = std::ranges::find(web_files(), path, &WebFile::target);
    if (file == web_files().end()) return refuse(404, "there is nothing here");
    if (request.method() != wire::HttpMethod::get && request.method() != wire::HttpMethod::head)
        return refuse(405, "this can only be read", "Allow: GET, HEAD\r\n");
    std::string headers(page_headers);
    headers.append("ETag: ").append(file->tag).append("\r\n");
    if (request.has_token("if-none-match", file->tag))
        return {.status = 304, .type = file->type, .headers = std::move(headers)};
    return {.type = file->type, .headers = std::move(headers), .fixed = file->bytes};
}

// Who names no subprotocol, or none that we know, gets an answer without one, as RFC 6455 has it, and decides
// himself.
HttpAnswer WebSite::open_socket(const wire::HttpRequestParser& request) const {
    const wire::HandshakeRefusal refusal = wire::check_handshake(request, options_.origins);
    if (refusal.status != 0) return refuse(refusal.status, refusal.reason, std::string(refusal.headers));
    const bool known = request.has_token("sec-websocket-protocol", JsonConversation::protocol);
    return {.switching = wire::accept_handshake(request, known ? JsonConversation::protocol : "")};
}

}  // namespace confab::chat
