// Internal to pools: poll(2) with a deadline.
#pragma once

#include <poll.h>

#include <span>

#include "pools/clock.hpp"

namespace confab {

/// Waits until one of the descriptors is ready, and gives whether one is. Signals do not shorten it.
/// `Instant::min()` only looks. Throws std::system_error.
bool poll_until(std::span<pollfd> descriptors, Instant deadline);

/// The same for one descriptor that is to be readable, or closed by its other side.
bool readable_until(int descriptor, Instant deadline);

}  // namespace confab
