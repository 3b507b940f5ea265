// Internal to server: the process that forks the others, and outlives them.
#pragma once

#include <poll.h>
#include <sys/types.h>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <functional>
#include <list>
#include <optional>
#include <random>
#include <string>
#include <system_error>
#include <unordered_map>
#include <vector>

#include "server/intake.hpp"
#include "server/restart_policy.hpp"
#include "server/scoreboard.hpp"
#include "server/server.hpp"
#include "server/service_manager.hpp"
#include "server/signals.hpp"
#include "server/succession.hpp"
#include "server/worker_handle.hpp"
#include "server/worker_process.hpp"

namespace confab {

/// Keeps the processes of a strategy going: forks them, hears when they are ready, replaces those that end
/// unasked, that hang, or that have served long enough, brings connections to them where the strategy says
/// so, and drains them at the end.
///
/// It has one thread and one loop around poll(2), serves nobody itself, and holds every listening socket, so
/// that no connection is reset when a worker ends. It forks and never makes a thread, so a fork copies a
/// whole program. Workers die with it (PR_SET_PDEATHSIG).
///
/// A worker that ends unasked is replaced, the first time at once, then after a pause that doubles from 0.1 s
/// to RunOptions::longest_restart_pause; ten healthy seconds make up for it. Five in a row that ended,
/// unkilled, before they were ready: the place is given up, and the others serve on. But when the first ones
/// cannot begin, the start has failed.
///
/// A worker that is replaced as planned (SIGHUP, recycling) goes on until its successor is ready; then it
/// retires: it accepts no more, gives the successor what connections can travel (server/traveller.hpp), and
/// has `retire_limit` for the others, then `drain_limit` to drain. One successor at a time is on its way. One
/// that never becomes ready changes nothing: the old worker stays.
///
/// SIGUSR2 does the same with the whole program (server/succession.hpp): once the new one is ready all
/// workers retire, and serve what they have to its end, within the same limits.
class Supervisor {
  public:
    /// Opens the listeners; throws as Server::start does. `manager` and `succession` outlive it. Requires:
    /// the program has one thread.
    Supervisor(const RunOptions& options, const ApplicationMaker& make_application, ServiceManager& manager,
               Succession& succession);

    /// Serves until SIGTERM or SIGINT, then drains. A second one, or drain_limit: what is left is killed; so
    /// it is at once after SIGQUIT, when all have printed their task trees, or a second has passed.
    /// Throws no_workers when the first workers cannot begin, or all places had to be given up.
    void run();

    /// What the workers that ended in peace have spent. After `run`.
    const Ledger& spent() const { return spent_; }

  private:
    using Clock = std::chrono::steady_clock;

    /// A place for a worker, where there is a fixed number of them.
    struct Place {
        std::uint32_t number = 0;
        std::optional<WorkerHandle> worker{};
        std::optional<WorkerHandle> successor{};  ///< not ready yet; its worker serves on
        WorkerEnd::Kind replace_for{};            ///< none: its worker is to stay
        RestartPolicy restarts;                   ///< when the next one may be started
        std::uint32_t workers = 0;                ///< that it has had
        WorkerEnd last_end{};
    };

    bool process_per_connection() const;
    bool accepts_itself() const;
    bool is_over() const;
    void say_ready();

    // Forking.
    void start_workers_due();
    void start_worker(Place& place, std::optional<WorkerHandle>& into);
    void start_worker_for(Fd connection);
    pid_t fork_child();
    WorkerOrders orders_for(WorkerLine& line, std::vector<int> processors) const;

    // Hearing.
    void wait();
    Clock::time_point next_due();
    void hear_signals();
    void hear_end_signal();
    void print_table() const;
    void report();
    void quit();
    void for_each_worker(const std::function<void(WorkerHandle&)>& visit);

    // Connections.
    void bring_connections();
    bool has_room();
    bool pass_on(const Fd& connection);
    WorkerHandle* least_loaded();

    // Replacing workers, and their number.
    void reload();
    void resize(Asked asked);
    void add_place();
    void remove_place();
    bool is_replacing() const;
    void start_replacement();
    void promote_successor(Place& place);
    void roll_back(Place& place, const std::string& why);
    void retire(WorkerHandle worker, bool bequeaths);
    void inspect();
    void inspect_use(Place& place);

    // The next generation of the program.
    void upgrade();
    void mind_upgrade();
    void hand_over();

    // Ending.
    void reap();
    void has_ended(const siginfo_t& how);
    void bury(WorkerHandle& worker, const siginfo_t& how);
    void no_worker(Place& place, const std::system_error& why);
    void worker_ended(Place& place, const siginfo_t& how);
    void successor_ended(Place& place, const siginfo_t& how);
    void leaver_ended(const siginfo_t& how);
    void plan_next(Place& place, RestartPolicy::End end);
    void stop_accepting();
    void drain();
    void mind_limits();
    void kill_all();
    [[noreturn]] void fail_to_start(const std::string& why);

    const RunOptions options_;
    ServiceManager& manager_;
    Succession& succession_;
    const ApplicationMaker make_application_;
    const pid_t pid_;
    const std::vector<int> processors_;    // for the workers to stay on; none: wherever they are put
    const Clock::duration inspect_every_;  // zero: never
    Listeners listeners_;
    Scoreboard scoreboard_;
    Signals signals_;
    Intake intake_;                                     // where it accepts itself
    std::list<Place> places_;                           // where the number of workers is fixed
    std::list<WorkerHandle> leaving_;                   // their places are others'
    std::unordered_map<pid_t, WorkerHandle> children_;  // with a process per connection
    std::vector<pollfd> watched_;
    const WorkerHandle::Lifetime lifetime_;  // at most
    std::minstd_rand random_;
    bool has_begun_ = false;  // true exactly when it has said where it listens
    bool reloading_ = false;
    bool said_full_ = false;
    bool draining_ = false;  // or `retiring_`: nobody is started any more
    bool retiring_ = false;  // true exactly when another program serves, and what is here comes to its end
    bool quitting_ = false;
    bool killed_ = false;
    Clock::time_point drain_until_{};
    Clock::time_point inspect_at_ = Clock::time_point::max();
    Ledger spent_;
};

}  // namespace confab
