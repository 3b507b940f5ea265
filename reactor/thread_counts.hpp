// Public: what happens on this thread outside any reactor's own books.
#pragma once

#include <cstdint>

namespace confab {

/// Totals of the calling thread. `allocations` moves only in programs that are linked with
/// reactor/count_allocations.cpp; elsewhere it stays 0.
struct ThreadCounts {
    std::uint64_t allocations = 0;
    std::uint64_t frames_alive = 0;  ///< coroutine frames made and not yet destroyed
    std::uint64_t frame_bytes = 0;   ///< their size
};

extern constinit thread_local ThreadCounts thread_counts;

}  // namespace confab
