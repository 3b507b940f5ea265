// Internal to server: the life of one connection, from descriptor to close.
#pragma once

#include "coro/stream.hpp"
#include "coro/task.hpp"
#include "server/application.hpp"

namespace confab {

/// Serves the connection `fd` with `worker`, sends what is then still owed, and closes it. Always closes,
/// whatever the worker throws, and however early the task is asked to stop; ends soon after that request,
/// within the stream's send limit plus a second.
task<void> serve_connection(Worker& worker, int fd, const StreamLimits& limits);

}  // namespace confab
