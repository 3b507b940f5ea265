// Public: the chat as an application of the server.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "server/application.hpp"
#include "server/chat/chat_memory.hpp"
#include "server/chat/limits.hpp"

namespace confab::chat {

/// What the chat is over HTTP.
struct WebOptions {
    /// Pages of which other sites may connect, as browsers name them: "https://example.org".
    std::vector<std::string> origins{};
    /// Whether WebSockets may be compressed, each message by itself. It costs the server more time than the
    /// bytes are worth where they are cheap.
    bool compression = false;
};

/// One chat, for all reactors of this process, in the line protocol and over HTTP (docs/protocol.md): the
/// first bytes of a connection decide. Requires: the limits
/// fit together (Limits::fault). Throws std::system_error when there is not that much memory.
std::unique_ptr<Application> make_chat_app(const Limits& limits, WebOptions web = {});

/// The part of the chat in `memory` for one of several processes, with a number that none of the others has;
/// see Chat.
std::unique_ptr<Application> make_chat_app(std::shared_ptr<const ChatMemory> memory, std::uint32_t process,
                                           WebOptions web = {});

}  // namespace confab::chat
