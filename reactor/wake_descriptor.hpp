// Internal to reactor: what wakes a reactor from another thread.
#pragma once

#include "pools/fd.hpp"

namespace confab {

/// A non-blocking, close-on-exec eventfd, for waking a reactor. Throws std::system_error.
Fd make_wake_descriptor();

/// Makes the owner of a wake-up descriptor's wait return. Any thread; async-signal-safe; never blocks.
void write_wake_descriptor(const Fd& fd) noexcept;

/// Takes back the wake-ups so far, for waits that go by the level. Its owner's thread; never blocks.
void clear_wake_descriptor(const Fd& fd) noexcept;

}  // namespace confab
