// Internal to server: a worker process as its supervisor knows it.
#pragma once

#include <poll.h>
#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <random>
#include <string>
#include <system_error>
#include <vector>

#include "pools/fd.hpp"
#include "server/feed.hpp"
#include "server/scoreboard.hpp"
#include "server/worker_process.hpp"

namespace confab {

/// A process that was forked and not yet waited for, so that its number is its own. The supervisor's thread
/// only; nothing here waits.
class WorkerHandle {
  public:
    using Clock = std::chrono::steady_clock;
    using State = WorkerLine::State;

    /// `line` is taken, and outlives this. `control`: the supervisor's end; none for a process of one
    /// connection, which hears signals instead. `feed`, where connections are fed, with both ends: what the
    /// worker leaves in there goes to another.
    explicit WorkerHandle(WorkerLine& line, Fd control = {}, feed::Pair feed = {});

    /// The end of a connection (pools) over which it can bequeath its own to a successor, which takes it.
    void set_inheritance(Fd end) { inheritance_ = std::move(end); }
    Fd take_inheritance() { return std::move(inheritance_); }

    /// It has been forked.
    void forked(pid_t pid, std::uint32_t place);

    pid_t pid() const { return line_->pid; }
    WorkerLine& line() const { return *line_; }
    State state() const { return line_->state; }
    Clock::time_point since() const;

    /// Adds what it may be heard on.
    void watch(std::vector<pollfd>& watched) const;
    /// Takes note of what it has said. One that says that it hangs is killed.
    void hear();
    /// Why it cannot begin, or go on, as a continuation: ": no such file"; mostly empty.
    const std::string& failure() const { return failure_; }

    /// Passes a connection on, which stays the caller's to close. An error of feed::send.
    std::error_code give(int connection);
    /// A connection that was given and that it has not taken up.
    std::expected<Fd, std::error_code> take_back();

    /// Has it print its task trees.
    void ask_for_trees();
    /// Has it print its task trees and end at once.
    void quit();
    /// Has it accept no more, and end when its connections have; after `limit` it has `drain_limit` to drain.
    /// With `bequeaths` its successor gets those that can travel.
    void retire(Clock::duration limit, Clock::duration drain_limit, bool bequeaths);
    /// Has its connections end; after `limit` it is killed.
    void drain(Clock::duration limit);
    /// Drains or kills it, if what was said above is due.
    void mind_limits();
    Clock::time_point next_due() const { return until_; }

    /// Looks whether it is well: one that did not beat in `most_missed` looks in a row is killed, which is
    /// said.
    void inspect_beats(unsigned most_missed);

    void kill() const;
    /// Why it was killed by `inspect_beats` or `hear`; none: it was not.
    WorkerEnd::Kind killed_for() const { return killed_for_; }

    /// Bounds after which it should be replaced; 0: none.
    struct Lifetime {
        std::uint64_t served = 0;
        std::uint64_t memory_bytes = 0;

        /// Between three quarters and all of these bounds, or all that began together would have to be
        /// replaced together.
        Lifetime drawn(std::minstd_rand& random) const;
    };
    Lifetime lifetime{};

    pid_t heir = 0;  ///< who gets its connections; 0: nobody
    /// True exactly when the heir has ended otherwise than in peace: some of those connections may be with
    /// neither.
    bool heir_is_lost = false;

    /// In a child: closes the ends that are the supervisor's, and gives the feed's other one.
    Fd into_child();

  private:
    void tell(Word word);
    void kill_for(WorkerEnd::Kind why, const std::string& what);

    WorkerLine* line_;
    Fd control_;
    feed::Pair feed_;
    Fd inheritance_;
    std::string failure_;
    bool failing_ = false;  // what follows on the control socket is the reason
    WorkerEnd::Kind killed_for_ = WorkerEnd::Kind::none;
    Clock::time_point until_ = Clock::time_point::max();
    Clock::duration drain_limit_{};
    std::uint64_t beats_seen_ = 0;
    unsigned beats_missed_ = 0;
};

}  // namespace confab
