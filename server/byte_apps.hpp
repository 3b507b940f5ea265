// Public: the two handlers that treat a connection as a stream of bytes.
#pragma once

#include <functional>
#include <memory>

#include "coro/stream.hpp"
#include "coro/task.hpp"
#include "server/application.hpp"

namespace confab {

/// Changes bytes in place before they are sent back. Called on all reactors' threads.
using Transform = std::function<void(LentBytes bytes)>;

void leave_as_is(LentBytes bytes);
/// ASCII letters become capitals; every other byte is left as it is, so UTF-8 passes through whole.
void to_upper(LentBytes bytes);

/// An application that sends back what it receives, transformed, until the peer ends. Its connections travel.
std::unique_ptr<Application> make_byte_app(Transform transform);

/// Sends back what it receives, transformed, until the peer ends.
task<void> answer(Stream& stream, Transform transform);

}  // namespace confab
