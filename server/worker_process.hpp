// Internal to server: what a process that was forked to serve does, from the fork to its end.
#pragma once

#include <sys/types.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <vector>

#include "server/byte_apps.hpp"
#include "server/run_server.hpp"
#include "server/scoreboard.hpp"
#include "server/server.hpp"

namespace confab {

/// What a worker is given by the supervisor that forks it.
struct WorkerOrders {
    const ServerOptions& options;
    const ApplicationMaker& make_application;
    Transform callback_transform;
    const Scoreboard& scoreboard;
    WorkerLine& line;
    std::chrono::milliseconds worker_limit;   ///< see RunOptions
    const std::optional<Identity>& identity;  ///< see RunOptions
    pid_t supervisor;
    std::vector<int> processors;  ///< see ServerOptions
    Fd heirs_end{};               ///< a connection (pools) to the worker's successor, should it have one
    Fd inheritance{};             ///< one to its predecessor, if it is one's successor

    std::uint32_t number() const { return scoreboard.number_of(line); }
};

/// Has the kernel end this process when `parent` ends; ends it at once if that has happened.
void end_with(pid_t parent);

/// How often a worker puts on the scoreboard what it alone knows.
inline constexpr std::chrono::milliseconds count_every = std::chrono::seconds(1);

/// How often a worker beats, and its supervisor looks whether it has; zero for no limit.
constexpr std::chrono::milliseconds beat_interval(std::chrono::milliseconds worker_limit) {
    using std::chrono::milliseconds;
    if (worker_limit == milliseconds::zero()) return worker_limit;
    return std::clamp<milliseconds>(worker_limit / 4, milliseconds(1), count_every);
}

/// How long task trees are waited for before the end that SIGQUIT asks for: much more than it takes to print
/// them, less than anybody wants to wait.
inline constexpr std::chrono::milliseconds trees_limit = std::chrono::milliseconds(500);

/// What is said on the control socket, a byte a word.
enum class Word : char {
    ready = 'r',     ///< worker: it accepts
    failed = 'f',    ///< worker: it cannot begin; the reason follows, to the end
    hangs = 'h',     ///< worker: a reactor is held; by what follows, to the end
    retire = 'q',    ///< supervisor: accept no more, and end when the connections have
    bequeath = 'b',  ///< supervisor: the same, and the successor takes over what can travel
    drain = 'd',     ///< supervisor: end in peace
    trees = 't',     ///< supervisor: print the task trees
    quit = 'x',      ///< supervisor: the same, and end at once
};

/// Serves what comes to `listeners`, or over `feed`, until told to end, or SIGTERM. When the other end of
/// `control` has gone, so has the supervisor, and the process ends at once. The exit status for the process.
int serve_as_worker(WorkerOrders orders, Listeners listeners, Fd control);
int serve_as_worker(WorkerOrders orders, Fd feed, Fd control);

/// Serves one connection, on this thread, until it has ended; SIGTERM drains, SIGUSR1 prints the
/// task tree, SIGQUIT does and ends. Requires: they are blocked.
/// The exit status for the process.
int serve_one_connection(const WorkerOrders& orders, Fd connection);

}  // namespace confab
