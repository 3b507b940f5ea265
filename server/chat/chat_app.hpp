// Public: the chat as an application of the server.
#pragma once

#include <memory>

#include "server/application.hpp"
#include "server/chat/limits.hpp"

namespace confab::chat {

/// One chat, in the line protocol (docs/protocol.md), for all reactors of this process. Requires: the limits
/// fit together (Limits::fault).
std::unique_ptr<Application> make_chat_app(const Limits& limits);

}  // namespace confab::chat
