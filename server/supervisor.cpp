#include "server/supervisor.hpp"

#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <system_error>
#include <tuple>
#include <utility>

namespace confab {

using namespace std::chrono_literals;

namespace {

constexpr auto shortest_pause = 100ms;
constexpr auto healthy_after = 10s;
constexpr unsigned most_never_ready = 5;

// Nobody tells when there is a descriptor or a process to be had again, so it is tried.
constexpr auto try_accepting_again_after = 50ms;

std::system_error failed(const char* call) { return {errno, std::generic_category(), call}; }

// The signals a supervisor hears, all of them through one descriptor.
sigset_t heard_signals() {
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : {SIGTERM, SIGINT, SIGCHLD, SIGUSR1}) sigaddset(&set, signal);
    return set;
}

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

std::string ending_of(const siginfo_t& how) {
    if (how.si_code == CLD_EXITED) return "ended with status " + std::to_string(how.si_status);
    return std::string("was killed by ") + strsignal(how.si_status);
}

}  // namespace

Supervisor::Supervisor(const RunOptions& options, const ApplicationMaker& make_application)
    : options_(options),
      make_application_(make_application),
      pid_(::getpid()),
      listeners_(Server::open_listeners(options_.server)),
      scoreboard_(process_per_connection() ? options_.server.limits.connections
                                           : options_.server.strategy.processes.count) {
    for (WorkerLine& line : scoreboard_.lines()) free_lines_.push_back(&line);
    if (!process_per_connection()) places_.resize(options_.server.strategy.processes.count);
    if (accepts_itself()) accepting_ = listeners_.take(0);
    block_signals();
}

bool Supervisor::process_per_connection() const {
    return options_.server.strategy.processes.kind == ProcessCount::Kind::each;
}

bool Supervisor::accepts_itself() const {
    return options_.server.strategy.processes.kind != ProcessCount::Kind::fork;
}

void Supervisor::block_signals() {
    const sigset_t heard = heard_signals();
    ::pthread_sigmask(SIG_BLOCK, &heard, nullptr);
    signals_ = Fd(::signalfd(-1, &heard, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!signals_) throw failed("signalfd");
}

void Supervisor::run() {
    while (!is_over()) {
        start_workers_due();
        say_ready();
        wait();
        hear_signals();
        for (Place& place : places_) {
            if (place.worker) hear(*place.worker);
        }
        reap();
        bring_connections();
    }
    if (!draining_) throw std::runtime_error("no worker can begin any more");
}

bool Supervisor::is_over() const {
    const bool nobody_left = children_.empty() && std::ranges::none_of(places_, [](const Place& place) {
                                 return place.worker.has_value();
                             });
    if (draining_) return nobody_left;
    const bool all_given_up = !places_.empty() && std::ranges::all_of(places_, [](const Place& place) {
        return place.never_ready >= most_never_ready;
    });
    return all_given_up && nobody_left;
}

// The promise of the line is that whoever connects is served, so all workers are ready.
void Supervisor::say_ready() {
    if (has_begun_) return;
    const bool all_ready = std::ranges::all_of(
        places_, [](const Place& place) { return place.worker.has_value() && place.worker->ready; });
    if (!all_ready) return;
    has_begun_ = true;
    say_where_it_listens(listeners_.addresses(), options_.server.strategy.name, options_.application_name);
}

// Forking.

void Supervisor::start_workers_due() {
    if (draining_) return;
    for (Place& place : places_) {
        const bool given_up = place.never_ready >= most_never_ready;
        if (!place.worker && !given_up && place.again_at <= Clock::now()) start_worker(place);
    }
}

void Supervisor::start_worker(Place& place) {
    Worker worker;
    Fd workers_end;
    try {
        std::tie(worker.control, workers_end) = make_control();
        if (accepts_itself()) worker.feed = feed::make();
    } catch (const std::system_error& failure) {
        return no_worker(place, failure);
    }
    if (!fork_child(worker)) return no_worker(place, failed("fork"));
    if (worker.pid != 0) {
        place.worker = std::move(worker);
        return;
    }
    const WorkerOrders orders{options_.server, make_application_, options_.callback_transform, scoreboard_,
                              *worker.line};
    worker.control = Fd();
    places_.clear();  // the other workers' sockets
    accepting_.clear();
    homeless_.clear();  // or they would stay open when whoever serves them is killed
    worker.feed.giver = Fd();
    const int status = accepts_itself()
                           ? serve_as_worker(orders, std::move(worker.feed.taker), std::move(workers_end))
                           : serve_as_worker(orders, std::move(listeners_), std::move(workers_end));
    std::_Exit(status);
}

void Supervisor::start_worker_for(Fd connection) {
    Worker worker;
    if (!fork_child(worker)) {
        homeless_.push_front(std::move(connection));
        return pause_accepting(std::string("no process for a connection: ") + failed("fork").what());
    }
    if (worker.pid != 0) {
        children_.emplace(worker.pid, std::move(worker));
        return;
    }
    const WorkerOrders orders{options_.server, make_application_, options_.callback_transform, scoreboard_,
                              *worker.line};
    accepting_.clear();
    homeless_.clear();
    std::_Exit(serve_one_connection(orders, std::move(connection)));
}

// In the child `worker.pid` is 0. False: there is no process to be had, see errno.
bool Supervisor::fork_child(Worker& worker) {
    worker.line = free_lines_.back();
    worker.since = Clock::now();
    std::fflush(nullptr);  // or the child would write it once more
    worker.pid = ::fork();
    if (worker.pid < 0) return false;
    if (worker.pid > 0) {
        free_lines_.pop_back();
        worker.line->pid = worker.pid;
        return true;
    }
    // The kernel ends the child when its parent ends, unless that was before it was asked to.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != pid_) std::_Exit(EXIT_FAILURE);
    signals_ = Fd();
    // The others stay blocked: what it becomes hears SIGTERM and SIGUSR1 in its own way, and a terminal sends
    // SIGINT to all processes, but it is the supervisor that sees to it.
    sigset_t not_ours;
    sigemptyset(&not_ours);
    sigaddset(&not_ours, SIGCHLD);
    ::pthread_sigmask(SIG_UNBLOCK, &not_ours, nullptr);
    return true;
}

// Hearing.

void Supervisor::wait() {
    watched_.clear();
    watched_.push_back({.fd = signals_.get(), .events = POLLIN, .revents = 0});
    for (const Place& place : places_) {
        if (!place.worker) continue;
        watched_.push_back({.fd = place.worker->control.get(), .events = POLLIN, .revents = 0});
        watched_.push_back({.fd = place.worker->feed.giver.get(), .events = POLLIN, .revents = 0});
    }
    if (wants_connections()) {
        for (const Fd& listener : accepting_) {
            watched_.push_back({.fd = listener.get(), .events = POLLIN, .revents = 0});
        }
    }
    if (::poll(watched_.data(), watched_.size(), milliseconds_until(next_due())) < 0 && errno != EINTR) {
        throw failed("poll");
    }
}

Supervisor::Clock::time_point Supervisor::next_due() const {
    auto due = Clock::time_point::max();
    if (draining_) return killed_ ? due : drain_until_;
    for (const Place& place : places_) {
        if (!place.worker && place.never_ready < most_never_ready) due = std::min(due, place.again_at);
    }
    if (accepting_paused_) due = std::min(due, accept_again_at_);
    return due;
}

void Supervisor::hear_signals() {
    signalfd_siginfo heard{};
    while (::read(signals_.get(), &heard, sizeof heard) == sizeof heard) {
        if (heard.ssi_signo == SIGUSR1) {
            for (const Place& place : places_) {
                if (place.worker) tell(*place.worker, Word::trees);
            }
            for (const auto& [pid, worker] : children_) ::kill(pid, SIGUSR1);
        } else if (heard.ssi_signo != SIGCHLD) {
            if (draining_) {
                std::fprintf(stderr, "confab: a second signal; what is left is cut\n");
                kill_all();
            } else {
                drain();
            }
        }
    }
    if (draining_ && !killed_ && Clock::now() >= drain_until_) {
        std::fprintf(stderr, "confab: the drain took too long (--drain-timeout); what is left is cut\n");
        kill_all();
    }
}

void Supervisor::hear(Worker& worker) {
    char word = 0;
    while (::read(worker.control.get(), &word, 1) == 1) {
        if (!worker.failure.empty()) {
            worker.failure += word;
        } else if (word == static_cast<char>(Word::ready)) {
            worker.ready = true;
        } else {
            worker.failure = ": ";
        }
    }
    if (worker.feed.giver) worker.line->connections -= feed::acknowledged(worker.feed.giver.get());
}

// A worker that does not hear has ended, or will be killed when the drain takes too long.
void Supervisor::tell(const Worker& worker, Word word) {
    const char byte = static_cast<char>(word);
    if (::send(worker.control.get(), &byte, 1, MSG_NOSIGNAL) != 1 && errno != EPIPE) {
        spdlog::warn("worker {} cannot be told anything: {}", worker.pid, failed("send").what());
    }
}

// Connections.

// First the connection, then a place for it: so it is known whether anybody waits for one.
void Supervisor::bring_connections() {
    while (wants_connections() || !homeless_.empty()) {
        if (homeless_.empty()) take_connections();
        if (homeless_.empty() || !has_room()) return;
        Fd connection = std::move(homeless_.front());
        homeless_.pop_front();
        if (process_per_connection()) {
            start_worker_for(std::move(connection));
        } else {
            pass_on(std::move(connection));
        }
    }
}

bool Supervisor::wants_connections() const {
    return homeless_.empty() && (!accepting_paused_ || Clock::now() >= accept_again_at_);
}

// True when somebody can serve one more connection.
bool Supervisor::has_room() {
    if (accepting_paused_ && Clock::now() < accept_again_at_) return false;
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

// One of each listener, if there is any.
void Supervisor::take_connections() {
    for (const Fd& listener : accepting_) {
        Fd connection(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (connection) {
            if (std::exchange(accepting_paused_, false)) spdlog::info("accepting again");
            homeless_.push_back(std::move(connection));
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            pause_accepting(std::generic_category().message(errno));
        }
    }
}

void Supervisor::pass_on(Fd connection) {
    Worker& worker = *least_loaded();
    const std::error_code error = feed::send(worker.feed.giver.get(), connection.get());
    if (error) {
        homeless_.push_front(std::move(connection));
        return pause_accepting("worker " + std::to_string(worker.pid) + " takes none: " + error.message());
    }
    ++worker.line->connections;
}

void Supervisor::pause_accepting(const std::string& why) {
    accept_again_at_ = Clock::now() + try_accepting_again_after;
    if (!std::exchange(accepting_paused_, true)) spdlog::warn("accepting pauses: {}", why);
}

// The worker with the fewest connections that can take one more; nullptr when none can.
Supervisor::Worker* Supervisor::least_loaded() {
    const Strategy& strategy = options_.server.strategy;
    const std::size_t most = strategy.one_at_a_time() ? strategy.threads.count : SIZE_MAX;
    Worker* best = nullptr;
    for (Place& place : places_) {
        if (!place.worker || !place.worker->ready || place.worker->told_to_drain) continue;
        const std::size_t load = place.worker->line->connections;
        if (load < most && (best == nullptr || load < best->line->connections)) best = &*place.worker;
    }
    return best;
}

// Ending.

void Supervisor::reap() {
    while (true) {
        siginfo_t how{};
        if (::waitid(P_ALL, 0, &how, WEXITED | WNOHANG) != 0 || how.si_pid == 0) return;
        const auto child = children_.find(how.si_pid);
        if (child != children_.end()) {
            if (how.si_code != CLD_EXITED)
                spdlog::error("the process of a connection, {}, {}", how.si_pid, ending_of(how));
            bury(child->second, how);
            children_.erase(child);
        }
        for (Place& place : places_) {
            if (place.worker && place.worker->pid == how.si_pid) worker_ended(place, how);
        }
    }
}

// Takes back what it had been given.
void Supervisor::bury(Worker& worker, const siginfo_t& how) {
    const bool in_peace = how.si_code == CLD_EXITED && how.si_status == EXIT_SUCCESS;
    if (!in_peace && options_.process_lost) options_.process_lost(scoreboard_.number_of(*worker.line));
    spent_ += worker.line->spent;
    worker.line->spent = {};
    worker.line->connections = 0;
    worker.line->pid = 0;
    free_lines_.push_back(worker.line);
    if (!worker.feed.taker) return;
    while (auto left = feed::receive(worker.feed.taker.get())) homeless_.push_back(std::move(*left));
}

void Supervisor::worker_ended(Place& place, const siginfo_t& how) {
    Worker worker = std::move(*place.worker);
    place.worker.reset();
    bury(worker, how);
    const bool in_peace = how.si_code == CLD_EXITED && how.si_status == EXIT_SUCCESS;
    if (draining_ && (in_peace || killed_)) return;
    if (!has_begun_ && !draining_) fail_to_start("a worker " + ending_of(how) + worker.failure);
    spdlog::warn("worker {} {}{}", worker.pid, ending_of(how), worker.failure);
    if (in_peace || Clock::now() - worker.since >= healthy_after) place.crashes = 0;
    // One that was killed before it was ready has not failed to begin: somebody ended it.
    const bool was_killed = how.si_code == CLD_KILLED && how.si_status == SIGKILL;
    plan_successor(place, worker.ready || was_killed);
}

void Supervisor::no_worker(Place& place, const std::system_error& why) {
    if (!has_begun_) fail_to_start(std::string("no worker: ") + why.what());
    spdlog::error("no worker: {}", why.what());
    plan_successor(place, false);
}

// The others have not said anything yet, and have nothing to lose.
void Supervisor::fail_to_start(const std::string& why) {
    kill_all();
    while (::waitid(P_ALL, 0, nullptr, WEXITED) == 0 || errno == EINTR) {
    }
    throw std::runtime_error(why);
}

void Supervisor::plan_successor(Place& place, bool was_ready) {
    place.never_ready = was_ready ? 0 : place.never_ready + 1;
    if (place.never_ready == most_never_ready) {
        spdlog::error("{} workers in a row did not begin: this place is given up", most_never_ready);
    }
    const auto pause = place.crashes == 0 ? 0ms : shortest_pause * (1 << std::min(place.crashes - 1, 20U));
    place.again_at = Clock::now() + std::min<Clock::duration>(pause, options_.longest_restart_pause);
    ++place.crashes;
}

void Supervisor::drain() {
    draining_ = true;
    drain_until_ = Clock::now() + options_.drain_limit;
    // Now, while nobody else can have taken the place: a moment later the listeners are closed.
    listeners_.remove_socket_files();
    for (unsigned i = 0; i < listeners_.sets(); ++i) listeners_.take(i).clear();
    accepting_.clear();
    homeless_.clear();
    for (Place& place : places_) {
        if (place.worker) drain(*place.worker);
    }
    for (auto& [pid, worker] : children_) drain(worker);
}

void Supervisor::drain(Worker& worker) {
    worker.told_to_drain = true;
    if (worker.control) {
        tell(worker, Word::drain);
    } else {
        ::kill(worker.pid, SIGTERM);  // ours and not waited for, so the number is still its own
    }
}

void Supervisor::kill_all() {
    killed_ = true;
    for (const Place& place : places_) {
        if (place.worker) ::kill(place.worker->pid, SIGKILL);
    }
    for (const auto& [pid, worker] : children_) ::kill(pid, SIGKILL);
}

}  // namespace confab
