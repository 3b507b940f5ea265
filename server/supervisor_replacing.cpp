// The supervisor's workers in the course of time: replaced as planned, more of them or fewer, looked after.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "server/process_usage.hpp"
#include "server/supervisor.hpp"

namespace confab {

using namespace std::chrono_literals;

void Supervisor::reload() {
    if (draining_) return;
    if (process_per_connection()) {
        return spdlog::info("SIGHUP: nothing to replace, each connection has a process of its own");
    }
    spdlog::info("SIGHUP: the workers are replaced one by one");
    reloading_ = true;
    manager_.say_reloading();
    for (Place& place : places_) {
        // One that is still starting is as new as its successor would be.
        const bool is_old = place.worker && place.worker->state() == WorkerLine::State::ready;
        if (is_old && !place.successor) place.replace_for = WorkerEnd::Kind::reloaded;
    }
}

void Supervisor::resize(Asked asked) {
    const char* const signal = asked == Asked::for_more ? "SIGTTIN" : "SIGTTOU";
    if (draining_) return;
    if (process_per_connection()) {
        return spdlog::warn("{} is refused: there is a process for each connection", signal);
    }
    if (asked == Asked::for_more && places_.size() >= most_processes) {
        return spdlog::warn("{} is refused: {} workers are the most there can be", signal, most_processes);
    }
    if (asked == Asked::for_fewer && places_.size() == 1) {
        return spdlog::warn("{} is refused: one worker is the least there can be", signal);
    }
    asked == Asked::for_more ? add_place() : remove_place();
    spdlog::info("{}: {} workers from here on", signal, places_.size());
}

void Supervisor::add_place() {
    places_.push_back({.number = static_cast<std::uint32_t>(places_.size()),
                       .restarts = RestartPolicy(options_.longest_restart_pause)});
}

void Supervisor::remove_place() {
    Place& place = places_.back();
    for (auto* const worker : {&place.worker, &place.successor}) {
        if (*worker) retire(std::move(**worker), false);
    }
    places_.pop_back();
}

bool Supervisor::is_replacing() const {
    return std::ranges::any_of(places_, [](const Place& place) { return place.successor.has_value(); });
}

// One at a time, so that there is never more than one worker's worth of memory in excess.
void Supervisor::start_replacement() {
    if (draining_ || is_replacing()) return;
    const auto due = std::ranges::find_if(places_, [](const Place& place) {
        return place.replace_for != WorkerEnd::Kind::none && place.worker &&
               place.restarts.due() <= Clock::now();
    });
    if (due != places_.end()) return start_worker(*due, due->successor);
    const bool reload_goes_on = std::ranges::any_of(
        places_, [](const Place& place) { return place.replace_for == WorkerEnd::Kind::reloaded; });
    if (reload_goes_on || !std::exchange(reloading_, false)) return;
    spdlog::info("SIGHUP: all workers have been replaced");
    manager_.say_ready();
}

// The old one goes on until this moment. Its connections move over, or end with it.
void Supervisor::promote_successor(Place& place) {
    if (!place.successor || place.successor->state() != WorkerLine::State::ready) return;
    WorkerHandle old = std::move(*place.worker);
    place.worker = std::exchange(place.successor, std::nullopt);
    place.last_end = {.kind = std::exchange(place.replace_for, WorkerEnd::Kind::none)};
    place.worker->line().last_end = place.last_end;
    place.restarts.succeeded();
    old.heir = place.worker->pid();
    retire(std::move(old), true);
}

// What has not been taken up of what it was given goes to another at once.
void Supervisor::retire(WorkerHandle worker, bool bequeaths) {
    while (auto left = worker.take_back()) intake_.put_back(std::move(*left));
    worker.retire(options_.retire_limit, options_.drain_limit, bequeaths);
    leaving_.push_back(std::move(worker));
}

// Everything stays as it is: a successor that does not come is no reason to lose the one that is there.
void Supervisor::roll_back(Place& place, const std::string& why) {
    spdlog::error("the successor of worker {} {}: worker {} stays", place.worker->pid(), why,
                  place.worker->pid());
    plan_next(place, {.began = true, .was_well = false});
    if (!std::exchange(reloading_, false)) return;
    spdlog::error("SIGHUP: what has not been replaced yet stays");
    manager_.say_ready();
    for (Place& each : places_) {
        if (each.replace_for == WorkerEnd::Kind::reloaded) each.replace_for = WorkerEnd::Kind::none;
    }
}

void Supervisor::upgrade() {
    if (draining_) return;
    if (succession_.successor() != 0) {
        return spdlog::warn("SIGUSR2 is refused: process {} is starting already", succession_.successor());
    }
    std::vector<int> listening;
    for (const Fd& listener : accepts_itself() ? intake_.listeners() : listeners_.set(0)) {
        listening.push_back(listener.get());
    }
    try {
        succession_.start_successor(listening, listeners_.owns_files(), manager_, options_.upgrade_limit);
    } catch (const std::system_error& failure) {
        return spdlog::error("SIGUSR2: no new program: {}: this one stays", failure.what());
    }
    spdlog::info("SIGUSR2: process {} starts, and takes over when it is ready", succession_.successor());
}

void Supervisor::mind_upgrade() {
    if (succession_.successor() == 0) return;
    if (succession_.successor_is_ready() && !draining_) return hand_over();
    if (Clock::now() < succession_.due()) return;
    spdlog::error("SIGUSR2: process {} is not ready in time (--upgrade-timeout): it is killed",
                  succession_.successor());
    succession_.kill_successor();
}

// The other program accepts already. What has been accepted here and has nobody goes over to it.
void Supervisor::hand_over() {
    spdlog::info("SIGUSR2: process {} serves from here on; what is here comes to its end",
                 succession_.successor());
    draining_ = retiring_ = true;
    manager_.leave_to(succession_.successor());
    for (Place& place : places_) {
        for (auto* const worker : {&place.worker, &place.successor}) {
            if (*worker) retire(std::move(**worker), false);
        }
    }
    places_.clear();
    for (auto& [pid, worker] : children_) worker.retire(options_.retire_limit, options_.drain_limit, false);
    succession_.let_go(intake_.take_waiting());
    intake_.close();
    for (unsigned i = 0; i < listeners_.sets(); ++i) listeners_.take(i).clear();
}

void Supervisor::inspect() {
    if (Clock::now() < inspect_at_) return;
    inspect_at_ = Clock::now() + inspect_every_;
    if (options_.worker_limit != 0ms) {
        // Counted in looks, which come more often when the use is looked at as well.
        const auto most_missed = static_cast<unsigned>(options_.worker_limit / inspect_every_);
        for_each_worker([most_missed](WorkerHandle& worker) { worker.inspect_beats(most_missed); });
        for (auto& [pid, worker] : children_) worker.inspect_beats(most_missed);
    }
    for (Place& place : places_) inspect_use(place);
}

void Supervisor::inspect_use(Place& place) {
    const bool to_be_replaced = place.replace_for != WorkerEnd::Kind::none;
    if (!place.worker || place.worker->state() != WorkerLine::State::ready || to_be_replaced) return;
    const auto [most_served, most_memory] = place.worker->lifetime;
    const pid_t pid = place.worker->pid();
    const std::uint64_t served = place.worker->line().served;
    const auto usage = most_memory != 0 ? usage_of(pid) : std::nullopt;
    if (most_served != 0 && served >= most_served) {
        spdlog::info("worker {} is recycled: it has served {} connections", pid, served);
    } else if (usage && usage->memory_bytes >= most_memory) {
        spdlog::info("worker {} is recycled: it holds {} bytes", pid, usage->memory_bytes);
    } else {
        return;
    }
    place.replace_for = WorkerEnd::Kind::recycled;
}

}  // namespace confab
