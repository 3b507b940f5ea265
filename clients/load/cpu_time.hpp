// Public: processor time that processes have used, and that the machine's owner has taken away.
#pragma once

#include <sys/types.h>

#include "pools/clock.hpp"

namespace confab::load {

/// Of this process, all its threads. Any thread.
Duration own_cpu_time();

/// Of `process` and all its children, those that have ended and been waited for included; zero for no such
/// process. Any thread.
Duration cpu_time_of(pid_t process);

/// Of all processors together, time in which a hypervisor ran something else although we had work to do
/// ("steal" in /proc/stat, see proc(5)), since the start of the machine; zero where nobody tells. Any thread.
Duration stolen_time();

}  // namespace confab::load
