// Public: the chat as an application of the server.
#pragma once

#include <cstdint>
#include <memory>

#include "server/application.hpp"
#include "server/chat/chat_memory.hpp"
#include "server/chat/limits.hpp"

namespace confab::chat {

/// One chat, in the line protocol (docs/protocol.md), for all reactors of this process. Requires: the limits
/// fit together (Limits::fault). Throws std::system_error when there is not that much memory.
std::unique_ptr<Application> make_chat_app(const Limits& limits);

/// The part of the chat in `memory` for one of several processes, with a number that none of the others has;
/// see Chat.
std::unique_ptr<Application> make_chat_app(std::shared_ptr<const ChatMemory> memory, std::uint32_t process);

}  // namespace confab::chat
