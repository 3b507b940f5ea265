// Internal to server: what the chat serves over HTTP.
#pragma once

#include <string_view>

#include "server/chat/chat.hpp"
#include "server/chat/chat_app.hpp"
#include "server/http_service.hpp"

namespace confab::chat {

/// The page at `/`, with what belongs to it; the WebSocket at `/ws`; and what was said, to be read, at
/// `/api/rooms/ROOM/messages`.
class WebSite final : public HttpSite {
  public:
    /// Both outlive it.
    WebSite(Chat& chat, const WebOptions& options) : chat_(chat), options_(options) {}

    HttpAnswer answer(const wire::HttpRequestParser& request) override;

  private:
    HttpAnswer open_socket(const wire::HttpRequestParser& request) const;
    HttpAnswer messages(std::string_view room, std::string_view query);

    Chat& chat_;
    const WebOptions& options_;
};

}  // namespace confab::chat
