// Internal to server: what each process of a server is doing, for the others to see.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <queue>
#include <span>
#include <string>
#include <vector>

#include "pools/processes/shared_memory.hpp"
#include "reactor/ledger.hpp"
#include "reactor/pulse.hpp"

namespace confab {

/// Why a worker has ended, or is being ended.
struct WorkerEnd {
    enum class Kind : std::uint32_t {
        none,
        exited,       ///< unasked; `number` is its exit status
        killed,       ///< by signal `number`, which was not the supervisor's
        never_ready,  ///< killed: it did not begin in time
        hung,         ///< killed: a reactor was held for too long
        silent,       ///< killed: its main thread did not beat
        reloaded,     ///< replaced, as somebody asked
        recycled,     ///< replaced: it had served as many connections, or held as much memory, as it may
        removed,      ///< one worker less
    };
    Kind kind = Kind::none;
    std::int32_t number = 0;

    std::string text() const;
};

/// A worker's line. The worker writes what it counts; the supervisor the rest, and clears the line when the
/// worker has ended, however it did. Anybody may look at any time: each field is right by itself. What each
/// of the two writes begins on a cache line of its own.
// NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding)
struct alignas(64) WorkerLine {
    enum class State : std::uint8_t {
        starting,  ///< forked, and not accepting yet
        ready,
        retiring,  ///< accepts no more, and serves those it has
        draining,  ///< its connections are asked to end
    };
    static constexpr std::uint32_t no_place = 0xffffffff;

    // The supervisor's.
    std::atomic<pid_t> pid{0};  ///< 0: the line is free
    std::atomic<State> state{State::starting};
    std::atomic<std::uint32_t> place{0};  ///< which of the strategy's workers it is; no_place: a connection's
    std::atomic<std::uint32_t> restarts{0};               ///< how many it had before, in this place
    std::atomic<WorkerEnd> last_end{};                    ///< why the one before it ended
    std::atomic<std::chrono::steady_clock::rep> since{};  ///< when it was forked

    // The worker's, but for `connections` of one that is fed.
    alignas(64) std::atomic<std::size_t> connections{0};
    std::atomic<std::uint64_t> served{0};  ///< connections, the present ones included
    /// Receives that brought bytes, up to a second ago; `pulse` has those of a process of one connection.
    std::atomic<std::uint64_t> receives{0};
    std::atomic<std::uint64_t> beats{0};  ///< goes up as long as the worker is well (docs/operations.md)
    Pulse pulse{};                        ///< of the only reactor of a process that serves one connection
    Ledger spent;                         ///< written when the worker ends in peace, before it does
};

/// Lines for workers, in memory that the processes share. Made before they are forked.
class Scoreboard {
  public:
    explicit Scoreboard(std::size_t lines);

    // Any process.

    /// Those that were ever in use, some of them free again.
    std::span<const WorkerLine> lines() const { return lines_.first(used_->load(std::memory_order_seq_cst)); }
    /// A worker's number: its line's place.
    std::uint32_t number_of(const WorkerLine& line) const {
        return static_cast<std::uint32_t>(&line - lines_.data());
    }
    /// Of all workers.
    std::size_t connections() const;
    /// Connections that those who serve have ever had; goes down when one of them ends.
    std::uint64_t served() const;
    /// True when that worker may take one more connection: it has at most an eighth more than the mean of
    /// those that are ready. So one of them always may.
    bool has_share(const WorkerLine& line) const;

    // The supervisor only.

    bool is_full() const { return free_.empty() && used_->load(std::memory_order_relaxed) == lines_.size(); }
    /// The first free line, so that there are not many to look at. Requires: not full.
    WorkerLine& take();
    /// Clears it.
    void give_back(WorkerLine& line);

  private:
    processes::shared_memory memory_;
    std::atomic<std::size_t>* used_;
    std::span<WorkerLine> lines_;
    std::priority_queue<std::size_t, std::vector<std::size_t>, std::greater<>> free_;  // again
};

}  // namespace confab
