// Internal to pools: what the kernel says of a process or a thread in /proc, see proc_pid_stat(5).
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "pools/fd.hpp"

namespace confab::processes {

struct ProcStat {
    int error =
        0;  // why there is none: ENOENT or ESRCH when it has gone, before or after the file was opened
    char state = 0;
    pid_t parent = 0;
    std::uint64_t flags = 0;  // the kernel's own
    std::uint64_t threads = 0;
    std::uint64_t started = 0;  // clock ticks since the machine was booted
};

/// Of a `stat` file in /proc. Does not allocate: it is asked while memory is short, and in children of a
/// fork.
ProcStat read_proc_stat(const char* path) noexcept;
/// The same, of one that is open, and was not read yet.
ProcStat read_proc_stat(const Fd& file) noexcept;

}  // namespace confab::processes
