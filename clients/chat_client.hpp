// Public: the chat client, whatever the console.
#pragma once

#include <string>

#include "clients/console.hpp"

namespace confab {

struct ChatClientOptions {
    std::string server = "127.0.0.1:8080";  ///< as Endpoint::resolve reads it
    std::string nick;                       ///< empty: the one the server gives
    std::string room;                       ///< empty: the one the server puts us in
};

/// Talks until there are no more lines to say and the server has closed, or the person quits. At a pipe a
/// lost connection is an error; at a terminal it is said, and made again with back-off, with nick and rooms
/// as they were. Throws std::runtime_error with a sentence when it cannot connect at first ("cannot connect
/// to 127.0.0.1:8080: Connection refused"), or has lost the connection for good. Runs its own reactor on the
/// calling thread.
void run_chat_client(const ChatClientOptions& options, Console& console);

}  // namespace confab
