#include "server/supervisor.hpp"

#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <system_error>
#include <utility>

#include "pools/connection.hpp"
#include "server/processors.hpp"
#include "server/worker_table.hpp"

namespace confab {

using namespace std::chrono_literals;

namespace {

// After SIGQUIT, for processes that do not even come to that.
constexpr auto quit_limit = 2 * trees_limit;

// Use is looked at so often: a bound that is crossed by a second's work is a bound for all purposes.
constexpr auto inspect_use_every = 1s;

// Those that are replaced stay on the scoreboard until they have ended, so it holds two generations. A
// replacement for which there is no line waits.
constexpr std::size_t generations = 2;

std::system_error failed(const char* call) { return {errno, std::generic_category(), call}; }

// The supervisor's end and the worker's.
std::pair<Fd, Fd> make_control() {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
        throw failed("socketpair");
    return {Fd(ends[0]), Fd(ends[1])};
}

// For poll(2): -1 is for ever.
int milliseconds_until(std::chrono::steady_clock::time_point due) {
    if (due == std::chrono::steady_clock::time_point::max()) return -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(due - std::chrono::steady_clock::now());
    return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 60'000));
}

WorkerEnd end_of(const siginfo_t& how) {
    return {.kind = how.si_code == CLD_EXITED ? WorkerEnd::Kind::exited : WorkerEnd::Kind::killed,
            .number = how.si_status};
}

bool in_peace(const siginfo_t& how) { return how.si_code == CLD_EXITED && how.si_status == EXIT_SUCCESS; }

std::size_t lines_for(const Strategy& strategy, const ServerLimits& limits) {
    if (strategy.processes.kind == ProcessCount::Kind::each) return limits.connections;
    return most_processes * generations;
}

}  // namespace

Supervisor::Supervisor(const RunOptions& options, const ApplicationMaker& make_application,
                       ServiceManager& manager, Succession& succession)
    : options_(options),
      manager_(manager),
      succession_(succession),
      make_application_(make_application),
      pid_(::getpid()),
      processors_(options.cpu_affinity ? usable_processors() : std::vector<int>{}),
      inspect_every_([&]() -> Clock::duration {
          const Clock::duration beats = beat_interval(options.worker_limit);
          const bool bounded = options.recycle_after != 0 || options.recycle_memory != 0;
          if (!bounded) return beats;
          return beats == 0ms ? inspect_use_every : std::min<Clock::duration>(beats, inspect_use_every);
      }()),
      listeners_(Server::open_listeners(options_.server)),
      scoreboard_(lines_for(options_.server.strategy, options_.server.limits)),
      lifetime_{.served = options.recycle_after, .memory_bytes = options.recycle_memory},
      random_(static_cast<std::minstd_rand::result_type>(pid_)) {
    if (!process_per_connection()) {
        for (unsigned i = 0; i < options_.server.strategy.processes.count; ++i) add_place();
    }
    if (accepts_itself()) intake_ = Intake(listeners_.take(0));
    if (inspect_every_ != 0s) inspect_at_ = Clock::now() + inspect_every_;
}

bool Supervisor::process_per_connection() const {
    return options_.server.strategy.processes.kind == ProcessCount::Kind::each;
}

bool Supervisor::accepts_itself() const {
    return options_.server.strategy.processes.kind != ProcessCount::Kind::fork;
}

void Supervisor::run() {
    while (true) {
        start_workers_due();
        start_replacement();
        if (is_over()) break;
        say_ready();
        wait();
        hear_signals();
        for_each_worker([](WorkerHandle& worker) { worker.hear(); });
        for (Place& place : places_) promote_successor(place);
        manager_.beat();
        inspect();
        reap();
        mind_upgrade();
        mind_limits();
        bring_connections();
    }
    if (!draining_) throw no_workers("no worker can begin any more");
}

bool Supervisor::is_over() const {
    const bool nobody_left =
        children_.empty() && leaving_.empty() &&
        std::ranges::none_of(places_, [](const Place& place) { return place.worker || place.successor; });
    if (draining_) return nobody_left;
    return nobody_left && !places_.empty() &&
           std::ranges::all_of(places_, [](const Place& place) { return place.restarts.given_up(); });
}

// The promise of the line is that whoever connects is served, so all workers are ready.
void Supervisor::say_ready() {
    if (has_begun_) return;
    const bool all_ready = std::ranges::all_of(places_, [](const Place& place) {
        return place.worker && place.worker->state() == WorkerLine::State::ready;
    });
    if (!all_ready) return;
    has_begun_ = true;
    std::deque<Fd> waiting = succession_.take_over();
    for (Fd& connection : waiting) {
        if (accepts_itself()) intake_.put_back(std::move(connection));
    }
    say_where_it_listens(listeners_.addresses(), options_.server.strategy.name, options_.application_name);
    manager_.say_ready();
}

// Forking.

void Supervisor::start_workers_due() {
    if (draining_) return;
    for (Place& place : places_) {
        if (!place.worker && place.restarts.due() <= Clock::now()) start_worker(place, place.worker);
    }
}

void Supervisor::start_worker(Place& place, std::optional<WorkerHandle>& into) {
    if (scoreboard_.is_full()) {
        errno = EAGAIN;
        return no_worker(place, failed("too many that are still leaving"));
    }
    WorkerLine& line = scoreboard_.take();
    std::optional<WorkerHandle> worker;
    Fd workers_end;
    Fd heirs_end;
    try {
        auto [own_end, other_end] = make_control();
        workers_end = std::move(other_end);
        worker.emplace(line, std::move(own_end), accepts_itself() ? feed::make() : feed::Pair{});
        if (options_.server.strategy.connections_travel()) {
            auto [own, heirs] = make_two_way_pipe();
            heirs_end = own.release();
            worker->set_inheritance(heirs.release());
        }
    } catch (const std::system_error& failure) {
        scoreboard_.give_back(line);
        return no_worker(place, failure);
    }
    line.last_end = place.last_end;
    line.restarts = place.workers;
    std::vector<int> processors;
    if (!processors_.empty()) {
        processors = processors_of(processors_, place.number, options_.server.strategy.hosts());
    }
    const pid_t pid = fork_child();
    if (pid == 0) {
        Fd feed = worker->into_child();
        WorkerOrders orders = orders_for(line, std::move(processors));
        orders.heirs_end = std::move(heirs_end);
        if (&into == &place.successor) orders.inheritance = place.worker->take_inheritance();
        places_.clear();  // the other workers' sockets
        leaving_.clear();
        const int status =
            accepts_itself()
                ? serve_as_worker(std::move(orders), std::move(feed), std::move(workers_end))
                : serve_as_worker(std::move(orders), std::move(listeners_), std::move(workers_end));
        std::_Exit(status);
    }
    if (pid < 0) {
        const std::system_error failure = failed("fork");
        scoreboard_.give_back(line);
        return no_worker(place, failure);
    }
    worker->forked(pid, place.number);
    worker->lifetime = lifetime_.drawn(random_);
    ++place.workers;
    into = std::move(worker);
}

void Supervisor::start_worker_for(Fd connection) {
    WorkerLine& line = scoreboard_.take();
    WorkerHandle worker(line);
    line.state = WorkerLine::State::ready;
    line.connections = line.served = 1;
    const pid_t pid = fork_child();
    if (pid == 0) std::_Exit(serve_one_connection(orders_for(line, {}), std::move(connection)));
    if (pid < 0) {
        const std::system_error failure = failed("fork");
        scoreboard_.give_back(line);
        intake_.put_back(std::move(connection));
        return intake_.pause(std::string("no process for a connection: ") + failure.what());
    }
    worker.forked(pid, WorkerLine::no_place);
    children_.emplace(pid, std::move(worker));
}

// As fork(2).
pid_t Supervisor::fork_child() {
    std::fflush(nullptr);  // or the child would write it once more
    const pid_t pid = ::fork();
    if (pid != 0) return pid;
    end_with(pid_);
    signals_.leave_to_parent();
    intake_.close();
    succession_.leave_to_parent();
    return 0;
}

WorkerOrders Supervisor::orders_for(WorkerLine& line, std::vector<int> processors) const {
    return {.options = options_.server,
            .make_application = make_application_,
            .callback_transform = options_.callback_transform,
            .scoreboard = scoreboard_,
            .line = line,
            .worker_limit = options_.worker_limit,
            .identity = options_.identity,
            .supervisor = pid_,
            .processors = std::move(processors)};
}

// Hearing.

void Supervisor::wait() {
    watched_.clear();
    watched_.push_back({.fd = signals_.descriptor(), .events = POLLIN, .revents = 0});
    for_each_worker([this](const WorkerHandle& worker) { worker.watch(watched_); });
    intake_.watch(watched_);
    if (succession_.descriptor() >= 0) {
        watched_.push_back({.fd = succession_.descriptor(), .events = POLLIN, .revents = 0});
    }
    if (::poll(watched_.data(), watched_.size(), milliseconds_until(next_due())) < 0 && errno != EINTR) {
        throw failed("poll");
    }
}

Supervisor::Clock::time_point Supervisor::next_due() {
    if (draining_ && !retiring_) {
        return std::min(manager_.next_due(), killed_ ? Clock::time_point::max() : drain_until_);
    }
    auto due = std::min({inspect_at_, intake_.next_due(), manager_.next_due(), succession_.due()});
    for_each_worker([&due](const WorkerHandle& worker) { due = std::min(due, worker.next_due()); });
    if (retiring_) {
        for (const auto& [pid, worker] : children_) due = std::min(due, worker.next_due());
    }
    const bool may_replace = !is_replacing();
    for (const Place& place : places_) {
        const bool waits = place.worker ? may_replace && place.replace_for != WorkerEnd::Kind::none : true;
        if (waits) due = std::min(due, place.restarts.due());
    }
    return due;
}

void Supervisor::for_each_worker(const std::function<void(WorkerHandle&)>& visit) {
    for (Place& place : places_) {
        if (place.worker) visit(*place.worker);
        if (place.successor) visit(*place.successor);
    }
    for (WorkerHandle& worker : leaving_) visit(worker);
}

void Supervisor::hear_signals() {
    while (const auto asked = signals_.next()) {
        switch (*asked) {
            case Asked::to_end:
                hear_end_signal();
                break;
            case Asked::to_quit:
                quit();
                break;
            case Asked::to_report:
                report();
                break;
            case Asked::to_upgrade:
                upgrade();
                break;
            case Asked::to_reload:
                reload();
                break;
            case Asked::for_more:
            case Asked::for_fewer:
                resize(*asked);
                break;
            case Asked::about_child:
                break;  // `reap` looks anyway
        }
    }
}

void Supervisor::hear_end_signal() {
    if (!draining_ || retiring_) return drain();
    std::fprintf(stderr, "confab: a second signal; what is left is cut\n");
    kill_all();
}

void Supervisor::print_table() const {
    const std::string table = worker_table(status_of(scoreboard_), options_.server.strategy.name);
    std::fwrite(table.data(), 1, table.size(), stderr);
}

void Supervisor::report() {
    print_table();
    for_each_worker([](WorkerHandle& worker) { worker.ask_for_trees(); });
    for (auto& [pid, worker] : children_) worker.ask_for_trees();
}

void Supervisor::quit() {
    print_table();
    stop_accepting();
    quitting_ = true;
    drain_until_ = Clock::now() + quit_limit;
    for_each_worker([](WorkerHandle& worker) { worker.quit(); });
    for (auto& [pid, worker] : children_) worker.quit();
}

// Connections.

// First the connection, then a place for it: so it is known whether anybody waits for one.
void Supervisor::bring_connections() {
    while (auto connection = intake_.take()) {
        if (!has_room()) return intake_.put_back(std::move(*connection));
        if (process_per_connection()) {
            start_worker_for(std::move(*connection));
        } else if (!pass_on(*connection)) {
            intake_.put_back(std::move(*connection));
        }
    }
}

// True when somebody can serve one more connection.
bool Supervisor::has_room() {
    const std::size_t connections = process_per_connection() ? children_.size() : scoreboard_.connections();
    const bool full = connections >= options_.server.limits.connections;
    if (full && !said_full_) {
        spdlog::warn("as many connections as allowed (--max-connections): accepting pauses");
    } else if (!full && said_full_) {
        spdlog::info("accepting again");
    }
    said_full_ = full;
    return !full && (process_per_connection() || least_loaded() != nullptr);
}

bool Supervisor::pass_on(const Fd& connection) {
    WorkerHandle& worker = *least_loaded();
    const std::error_code error = worker.give(connection.get());
    if (error) {
        intake_.pause("worker " + std::to_string(worker.pid()) + " takes none: " + error.message());
    }
    return !error;
}

// The worker with the fewest connections that can take one more; nullptr when none can.
WorkerHandle* Supervisor::least_loaded() {
    const Strategy& strategy = options_.server.strategy;
    const std::size_t most = strategy.one_at_a_time() ? strategy.threads.count : SIZE_MAX;
    WorkerHandle* best = nullptr;
    for (Place& place : places_) {
        if (!place.worker || place.worker->state() != WorkerLine::State::ready) continue;
        const std::size_t load = place.worker->line().connections;
        if (load < most && (best == nullptr || load < best->line().connections)) best = &*place.worker;
    }
    return best;
}

// Ending.

void Supervisor::reap() {
    while (true) {
        // Looks at it first and lets it go last: until then its number is nobody else's.
        siginfo_t how{};
        if (::waitid(P_ALL, 0, &how, WEXITED | WNOHANG | WNOWAIT) != 0 || how.si_pid == 0) return;
        const pid_t pid = how.si_pid;
        has_ended(how);
        ::waitid(P_PID, static_cast<id_t>(pid), &how, WEXITED);
    }
}

void Supervisor::has_ended(const siginfo_t& how) {
    if (how.si_pid == succession_.successor()) {
        if (!draining_) spdlog::error("SIGUSR2: the new program {}: this one stays", end_of(how).text());
        return succession_.successor_ended();
    }
    const auto is_it = [&how](const std::optional<WorkerHandle>& worker) {
        return worker && worker->pid() == how.si_pid;
    };
    if (const auto child = children_.find(how.si_pid); child != children_.end()) {
        if (how.si_code != CLD_EXITED) {
            spdlog::error("the process of a connection, {}, {}", how.si_pid, end_of(how).text());
        }
        bury(child->second, how);
        children_.erase(child);
        return;
    }
    const auto place = std::ranges::find_if(places_, is_it, &Place::worker);
    if (place != places_.end()) return worker_ended(*place, how);
    const auto heir = std::ranges::find_if(places_, is_it, &Place::successor);
    if (heir != places_.end()) return successor_ended(*heir, how);
    leaver_ended(how);
}

// Takes back what it had been given. A worker may have said something just before its end.
void Supervisor::bury(WorkerHandle& worker, const siginfo_t& how) {
    worker.hear();
    const bool lost = !in_peace(how);
    for (WorkerHandle& leaver : leaving_) leaver.heir_is_lost |= lost && leaver.heir == worker.pid();
    if ((lost || worker.heir_is_lost) && options_.process_lost)
        options_.process_lost(scoreboard_.number_of(worker.line()));
    spent_ += worker.line().spent;
    while (auto left = worker.take_back()) intake_.put_back(std::move(*left));
    scoreboard_.give_back(worker.line());
}

void Supervisor::worker_ended(Place& place, const siginfo_t& how) {
    WorkerHandle worker = std::move(*place.worker);
    place.worker.reset();
    const bool was_ready = worker.state() != WorkerLine::State::starting;
    bury(worker, how);
    if (draining_ && (in_peace(how) || killed_)) return;
    const std::string what = end_of(how).text() + worker.failure();
    if (!has_begun_ && !draining_) fail_to_start("a worker " + what);
    spdlog::warn("worker {} {}", how.si_pid, what);
    const bool killed = worker.killed_for() != WorkerEnd::Kind::none;
    place.last_end = killed ? WorkerEnd{.kind = worker.killed_for()} : end_of(how);
    place.replace_for = WorkerEnd::Kind::none;
    if (place.successor) {
        place.worker = std::exchange(place.successor, std::nullopt);
        place.worker->line().last_end = place.last_end;
        return;
    }
    // One that somebody else killed before it was ready has not failed to begin.
    const bool was_killed = how.si_code == CLD_KILLED && how.si_status == SIGKILL && !killed;
    const bool was_well = in_peace(how) || Clock::now() - worker.since() >= RestartPolicy::healthy_after;
    plan_next(place, {.began = was_ready || was_killed, .was_well = was_well});
}

void Supervisor::successor_ended(Place& place, const siginfo_t& how) {
    WorkerHandle worker = std::move(*place.successor);
    place.successor.reset();
    bury(worker, how);
    if (!draining_) roll_back(place, end_of(how).text() + worker.failure());
}

void Supervisor::leaver_ended(const siginfo_t& how) {
    const auto leaver = std::ranges::find(leaving_, how.si_pid, &WorkerHandle::pid);
    if (leaver == leaving_.end()) return;  // a stranger whom a worker left behind
    if (!in_peace(how) && !killed_) spdlog::warn("worker {} {}", how.si_pid, end_of(how).text());
    bury(*leaver, how);
    leaving_.erase(leaver);
}

void Supervisor::no_worker(Place& place, const std::system_error& why) {
    if (!has_begun_) fail_to_start(std::string("no worker: ") + why.what());
    if (place.worker) return roll_back(place, std::string("cannot be started: ") + why.what());
    spdlog::error("no worker: {}", why.what());
    plan_next(place, {.began = false, .was_well = false});
}

// The others have not said anything yet, and have nothing to lose.
void Supervisor::fail_to_start(const std::string& why) {
    kill_all();
    while (::waitid(P_ALL, 0, nullptr, WEXITED) == 0 || errno == EINTR) {
    }
    throw no_workers(why);
}

void Supervisor::plan_next(Place& place, RestartPolicy::End end) {
    place.restarts.ended(end, Clock::now());
    if (!place.restarts.given_up()) return;
    spdlog::error("{} workers in a row did not begin: this place is given up",
                  RestartPolicy::most_never_began);
}

// The socket files now, while nobody else can have taken the place: a moment later the listeners are closed.
void Supervisor::stop_accepting() {
    draining_ = true;
    // Who has a successor has left all that to it.
    if (!std::exchange(retiring_, false)) {
        manager_.say_stopping();
        listeners_.remove_socket_files();
    }
    for (unsigned i = 0; i < listeners_.sets(); ++i) listeners_.take(i).clear();
    intake_.close();
    succession_.kill_successor();
}

void Supervisor::drain() {
    stop_accepting();
    drain_until_ = Clock::now() + options_.drain_limit;
    for_each_worker([this](WorkerHandle& worker) { worker.drain(options_.drain_limit); });
    for (auto& [pid, worker] : children_) worker.drain(options_.drain_limit);
}

void Supervisor::mind_limits() {
    if (!draining_ || retiring_) {
        for_each_worker([](WorkerHandle& worker) { worker.mind_limits(); });
        if (!retiring_) return;
        for (auto& [pid, worker] : children_) worker.mind_limits();
        return;
    }
    if (killed_ || Clock::now() < drain_until_) return;
    if (!quitting_) {
        std::fprintf(stderr, "confab: the drain took too long (--drain-timeout); what is left is cut\n");
    }
    kill_all();
}

void Supervisor::kill_all() {
    killed_ = true;
    for_each_worker([](const WorkerHandle& worker) { worker.kill(); });
    for (const auto& [pid, worker] : children_) worker.kill();
}

}  // namespace confab
