// Internal to server: what a server's processes do, for people.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "server/process_usage.hpp"
#include "server/scoreboard.hpp"

namespace confab {

/// One process at one moment: its line, and what the kernel says. What any view of a server shows.
struct WorkerStatus {
    pid_t pid = 0;
    std::uint32_t place = 0;  ///< WorkerLine::no_place for a process of one connection
    WorkerLine::State state{};
    std::chrono::seconds age{};
    std::size_t connections = 0;
    std::uint64_t served = 0;
    std::uint64_t receives = 0;
    ProcessUsage usage{};
    std::uint32_t restarts = 0;
    WorkerEnd last_end{};
};

/// Of all processes of `scoreboard`, those of a place together, the youngest first. Any process; reads a file
/// in /proc for each.
std::vector<WorkerStatus> status_of(const Scoreboard& scoreboard);

/// A table under a heading, a line a process; many of them are cut short.
std::string worker_table(std::span<const WorkerStatus> workers, const std::string& strategy);

}  // namespace confab
