// Internal to server: what a process has used, as the kernel counts it.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>

namespace confab {

struct ProcessUsage {
    std::chrono::milliseconds processor_time{};  ///< of all its threads, in the program and in the kernel
    std::uint64_t memory_bytes = 0;  ///< resident: in memory now, what it shares with others included
};

/// Of a process that has not been waited for; nothing when it has just gone, or there is no /proc.
std::optional<ProcessUsage> usage_of(pid_t pid);

}  // namespace confab
