// Public: why a channel did not do it; the same for tasks, threads and processes.
#pragma once

#include <cstdint>

namespace confab {

enum class channel_error : std::uint8_t {
    closed,  ///< put: it is closed. get: it is closed and there is nothing left in it.
    full,    ///< there was no room (in time)
    empty,   ///< there was nothing to get (in time)
};

}  // namespace confab
