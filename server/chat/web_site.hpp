// Internal to server: what the chat serves over HTTP.
#pragma once

#include "server/chat/chat_app.hpp"
#include "server/http_service.hpp"

namespace confab::chat {

/// The page at `/`, with what belongs to it; and the WebSocket at `/ws`.
class WebSite final : public HttpSite {
  public:
    /// `options` outlives it.
    explicit WebSite(const WebOptions& options) : options_(options) {}

    HttpAnswer answer(const wire::HttpRequestParser& request) override;

  private:
    HttpAnswer open_socket(const wire::HttpRequestParser& request) const;

    const WebOptions& options_;
};

}  // namespace confab::chat
