#include "server/process_usage.hpp"

#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>

namespace confab {

std::optional<ProcessUsage> usage_of(pid_t pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    std::string line;
    if (!std::getline(file, line)) return std::nullopt;
    // proc_pid_stat(5). The second field is a name in parentheses that may hold anything, the third follows.
    std::istringstream fields(line.substr(line.rfind(')') + 1));
    std::string skipped;
    std::uint64_t user_ticks = 0;
    std::uint64_t system_ticks = 0;
    std::uint64_t pages = 0;
    for (int field = 3; field < 14; ++field) fields >> skipped;
    fields >> user_ticks >> system_ticks;
    for (int field = 16; field < 24; ++field) fields >> skipped;
    if (!(fields >> pages)) return std::nullopt;
    static const auto ticks_per_second = static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
    static const auto page_bytes = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    return ProcessUsage{
        .processor_time = std::chrono::milliseconds((user_ticks + system_ticks) * 1000 / ticks_per_second),
        .memory_bytes = pages * page_bytes};
}

}  // namespace confab
