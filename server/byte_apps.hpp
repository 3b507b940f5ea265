// Public: the two handlers that treat a connection as a stream of bytes.
#pragma once

#include "coro/stream.hpp"
#include "coro/task.hpp"

namespace confab {

/// Changes bytes in place before they are sent back.
using Transform = void (*)(LentBytes bytes);

void leave_as_is(LentBytes bytes);
/// ASCII letters become capitals; every other byte is left as it is, so UTF-8 passes through whole.
void to_upper(LentBytes bytes);

/// Sends back what it receives, transformed, until the peer ends.
task<void> answer(Stream& stream, Transform transform);

}  // namespace confab
