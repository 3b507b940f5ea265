// Public: running a server as a program does.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "server/server.hpp"

namespace confab {

/// Starts `server`, says on stderr where it listens ("listening on ADDR (strategy NAME, app NAME)", a line
/// for each address), and serves until SIGTERM or SIGINT; then drains, for `drain_limit` at most: after that,
/// or at a second signal, the process exits at once, with 0. SIGUSR1 prints the task trees, a loop that is
/// held is reported (coro/diagnostics.hpp). Blocks these signals in the calling thread and in all that it
/// starts later, so call it from the main thread before there are others. Throws as Server::start does.
void run_server(Server& server, const std::string& application_name, std::chrono::seconds drain_limit);

/// The shortest way to a server: runs `handler` for every connection to `address` under the named strategy
/// until SIGTERM or SIGINT. The exit status for main: 0, or 1 after a line on stderr that says what failed.
int serve(Handler handler, const std::string& address, const std::string& strategy = "percore");

}  // namespace confab
