// Public: what a load has found.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "clients/load/faults.hpp"
#include "clients/load/histogram.hpp"
#include "pools/clock.hpp"

namespace confab::load {

/// A stretch of the measured time, all workers together.
struct Block {
    Duration length{};
    std::uint64_t messages = 0;
    std::uint64_t faults = 0;                ///< since the beginning of the load
    std::vector<Histogram::Bucket> latency;  ///< corrected
};

/// How much the generator itself was in the way.
struct Health {
    Histogram
        lateness;  ///< open loop: how much later than due messages left that had a connection to leave by
    Histogram hiccups;  ///< how much later than asked for a worker got to run
    Duration cpu{};     ///< that the generator used
    Duration stolen{};  ///< that the hypervisor took from the machine
};

struct LoadResult {
    bool open_loop = false;
    Duration measured{};
    std::uint64_t messages = 0;  ///< answered in the measured time
    std::uint64_t answered = 0;  ///< in all: warm-up and what came afterwards included
    std::uint64_t bytes = 0;     ///< compared, warm-up included
    Histogram corrected;         ///< latency from when messages were due to go
    Histogram
        uncorrected;  ///< latency from when they went; in a closed loop that is the same, and empty here
    Faults faults;
    std::uint64_t never_sent = 0;        ///< were due, and no connection was free until the end
    std::size_t served = 0;              ///< connections that had an answer
    std::size_t starved = 0;             ///< connections that never had one
    std::vector<std::uint32_t> answers;  ///< echo, lasting connections: how many each had in all
    std::size_t bystanders = 0;  ///< were there: the idle have had their one answer, others are connected
    Health health;
    Duration server_cpu{};
    bool server_known = false;  ///< true exactly when `server_cpu` was looked at
    std::vector<Block> blocks;
    std::string mechanism;     ///< how the generator waits
    std::string first_loss;    ///< what the first connection died of; empty: none did
    std::string warning;       ///< of the mechanism; empty: none
    bool interrupted = false;  ///< it was stopped before its time
    bool all_lost = false;     ///< it ended because no connection was left

    /// Adds another worker's; its blocks are left out.
    LoadResult& operator+=(const LoadResult& other);

    const Histogram& latency_from_sending() const { return open_loop ? uncorrected : corrected; }
    double rate() const {
        const double seconds = std::chrono::duration<double>(measured).count();
        return seconds > 0 ? static_cast<double>(messages) / seconds : 0;
    }
};

}  // namespace confab::load
