// Public: what others may see of a loop while it runs.
#pragma once

#include <atomic>
#include <cstdint>
#include <source_location>

namespace confab {

/// Written by a reactor; a watchdog looks at it from another thread (coro/diagnostics.hpp), or, where it lies
/// in shared memory, from another process that was forked from the same program.
struct Pulse {
    /// How often the loop has begun (odd) and ended (even) running what is ready. A loop that waits, however
    /// it waits, is at an even one.
    std::atomic<std::uint64_t> beats{0};
    /// The receives of the reactor's ledger, as of the last of these.
    std::atomic<std::uint64_t> receives{0};
    /// The name of the task that runs now, a string that lives for ever; null while none does.
    std::atomic<const char*> task{nullptr};
    /// Where that task had waited before.
    std::atomic<std::source_location> holder{};
};

}  // namespace confab
