#include "server/chat/web_site.hpp"

#include <string>

#include "server/chat/json_conversation.hpp"
#include "server/wire/websocket_handshake.hpp"

namespace confab::chat {

HttpAnswer WebSite::answer(const wire::HttpRequestParser& request) {
    const std::string_view path = request.target().substr(0, request.target().find('?'));
    if (path == "/ws") return open_socket(request);
    return refuse(404, "there is nothing here");
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
