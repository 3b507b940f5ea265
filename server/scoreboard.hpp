// Internal to server: what each process of a server is doing, for the others to see.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "pools/processes/shared_memory.hpp"
#include "reactor/ledger.hpp"

namespace confab {

/// A worker's line. The worker writes what it counts; the supervisor the rest, and clears the line when the
/// worker has ended, however it did.
struct WorkerLine {
    std::atomic<pid_t> pid{0};  ///< 0: the line is free
    std::atomic<std::size_t> connections{0};
    Ledger spent;  ///< written when the worker ends in peace, before it does
};

/// A line for each worker, in memory that the processes share. Made before they are forked.
class Scoreboard {
  public:
    explicit Scoreboard(std::size_t lines);

    std::span<WorkerLine> lines() const { return lines_; }
    /// A worker's number: its line's place.
    std::uint32_t number_of(const WorkerLine& line) const {
        return static_cast<std::uint32_t>(&line - lines_.data());
    }
    /// Of all workers.
    std::size_t connections() const;

  private:
    processes::shared_memory memory_;
    std::span<WorkerLine> lines_;
};

}  // namespace confab
