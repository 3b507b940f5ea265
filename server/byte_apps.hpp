// Public: the two applications that treat a connection as a stream of bytes.
#pragma once

#include <memory>

#include "server/application.hpp"

namespace confab {

/// Changes bytes in place before they are sent back.
using Transform = void (*)(LentBytes bytes);

void leave_as_is(LentBytes bytes);
/// ASCII letters become capitals; every other byte is left as it is, so UTF-8 passes through whole.
void to_upper(LentBytes bytes);

/// Sends back what it receives, transformed, until the peer ends.
task<void> answer(Stream& stream, Transform transform);

/// The application that does that for every connection.
std::unique_ptr<Application> make_byte_app(Transform transform);

}  // namespace confab
