// Internal to server: the process that forks the others, and outlives them.
#pragma once

#include <poll.h>
#include <sys/types.h>

#include <chrono>
#include <csignal>
#include <deque>
#include <optional>
#include <string>
#include <system_error>
#include <unordered_map>
#include <vector>

#include "server/feed.hpp"
#include "server/scoreboard.hpp"
#include "server/server.hpp"
#include "server/worker_process.hpp"

namespace confab {

/// Keeps the processes of a strategy going: forks them, hears when they are ready, replaces those that end
/// unasked, brings connections to them where the strategy says so, and drains them at the end.
///
/// It has one thread and one loop around poll(2), serves nobody itself, and holds every listening socket, so
/// that no connection is reset when a worker ends. It forks and never makes a thread, so a fork copies a
/// whole program. Workers die with it (PR_SET_PDEATHSIG).
///
/// A worker that ends unasked is replaced, the first time at once, then after a pause that doubles from 0.1 s
/// to RunOptions::longest_restart_pause; ten healthy seconds make up for it. Five in a row that ended,
/// unkilled, before they were ready: the place is given up, and the others serve on. But when the first ones
/// cannot begin, the start has failed.
class Supervisor {
  public:
    /// Opens the listeners; throws as Server::start does. Requires: the program has one thread.
    Supervisor(const RunOptions& options, const ApplicationMaker& make_application);

    /// Serves until SIGTERM or SIGINT, then drains. A second one, or drain_limit: what is left is killed.
    /// Throws std::runtime_error when the first workers cannot begin, or all places had to be given up.
    void run();

    /// What the workers that ended in peace have spent. After `run`.
    const Ledger& spent() const { return spent_; }

  private:
    using Clock = std::chrono::steady_clock;

    struct Worker {
        pid_t pid = 0;
        Fd control;  // not with a process per connection
        // Only where connections are fed. The taker's end as well: what a worker leaves in there goes to
        // another.
        feed::Pair feed;
        WorkerLine* line = nullptr;
        bool ready = false;
        std::string failure;  ///< why it cannot begin
        bool told_to_drain = false;
        Clock::time_point since{};
    };

    /// A place for a worker, where there is a fixed number of them.
    struct Place {
        std::optional<Worker> worker;
        unsigned crashes = 0;          ///< in a row
        unsigned never_ready = 0;      ///< in a row
        Clock::time_point again_at{};  ///< when the next one is due, if there is none
    };

    bool process_per_connection() const;
    bool accepts_itself() const;

    void block_signals();
    void say_ready();
    bool is_over() const;

    void start_workers_due();
    void start_worker(Place& place);
    void start_worker_for(Fd connection);
    bool fork_child(Worker& worker);

    void wait();
    Clock::time_point next_due() const;
    void hear_signals();
    void hear(Worker& worker);
    void tell(const Worker& worker, Word word);

    void bring_connections();
    bool wants_connections() const;
    bool has_room();
    void take_connections();
    void pass_on(Fd connection);
    void pause_accepting(const std::string& why);
    Worker* least_loaded();

    void reap();
    void bury(Worker& worker, const siginfo_t& how);
    void no_worker(Place& place, const std::system_error& why);
    void worker_ended(Place& place, const siginfo_t& how);
    void plan_successor(Place& place, bool was_ready);
    void drain();
    void drain(Worker& worker);
    void kill_all();
    [[noreturn]] void fail_to_start(const std::string& why);

    const RunOptions options_;
    const ApplicationMaker make_application_;
    const pid_t pid_;
    Listeners listeners_;
    Scoreboard scoreboard_;
    std::vector<Fd> accepting_;                   // the listeners, where it accepts itself
    std::vector<Place> places_;                   // where the number of workers is fixed
    std::unordered_map<pid_t, Worker> children_;  // with a process per connection
    std::vector<WorkerLine*> free_lines_;
    std::vector<pollfd> watched_;
    std::deque<Fd> homeless_;  // accepted, and with nobody yet
    Fd signals_;
    bool has_begun_ = false;  // true exactly when it has said where it listens
    bool said_full_ = false;
    bool draining_ = false;
    bool killed_ = false;
    bool accepting_paused_ = false;  // and said
    Clock::time_point accept_again_at_{};
    Clock::time_point drain_until_{};
    Ledger spent_;
};

}  // namespace confab
