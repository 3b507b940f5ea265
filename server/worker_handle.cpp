#include "server/worker_handle.hpp"

#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <utility>

namespace confab {

WorkerHandle::WorkerHandle(WorkerLine& line, Fd control, feed::Pair feed)
    : line_(&line), control_(std::move(control)), feed_(std::move(feed)) {
    line.since = Clock::now().time_since_epoch().count();
}

void WorkerHandle::forked(pid_t pid, std::uint32_t place) {
    line_->place = place;
    line_->pid = pid;
}

WorkerHandle::Clock::time_point WorkerHandle::since() const {
    return Clock::time_point(Clock::duration(line_->since));
}

WorkerHandle::Lifetime WorkerHandle::Lifetime::drawn(std::minstd_rand& random) const {
    const double share = std::uniform_real_distribution(0.75, 1.0)(random);
    const auto at_most = [share](std::uint64_t bound) {
        return static_cast<std::uint64_t>(std::ceil(static_cast<double>(bound) * share));
    };
    return {.served = at_most(served), .memory_bytes = at_most(memory_bytes)};
}

void WorkerHandle::watch(std::vector<pollfd>& watched) const {
    if (control_) watched.push_back({.fd = control_.get(), .events = POLLIN, .revents = 0});
    if (feed_.giver) watched.push_back({.fd = feed_.giver.get(), .events = POLLIN, .revents = 0});
}

void WorkerHandle::hear() {
    bool hangs = false;
    char word = 0;
    while (control_ && ::read(control_.get(), &word, 1) == 1) {
        if (failing_) {
            failure_ += word;
        } else if (word == static_cast<char>(Word::ready)) {
            if (state() == State::starting) line_->state = State::ready;
        } else {
            failing_ = true;
            failure_ = ": ";
            hangs = word == static_cast<char>(Word::hangs);
        }
    }
    if (feed_.giver) line_->connections -= static_cast<std::size_t>(feed::acknowledged(feed_.giver.get()));
    if (hangs) kill_for(WorkerEnd::Kind::hung, "hangs" + failure_);
}

std::error_code WorkerHandle::give(int connection) {
    const std::error_code error = feed::send(feed_.giver.get(), connection);
    if (!error) ++line_->connections;
    return error;
}

std::expected<Fd, std::error_code> WorkerHandle::take_back() {
    if (!feed_.taker) return std::unexpected(std::make_error_code(std::errc::not_connected));
    auto connection = feed::receive(feed_.taker.get());
    if (connection) --line_->connections;
    return connection;
}

// A worker that does not hear has ended, or will be killed when it takes too long.
void WorkerHandle::tell(Word word) {
    const char byte = static_cast<char>(word);
    if (::send(control_.get(), &byte, 1, MSG_NOSIGNAL) != 1 && errno != EPIPE) {
        spdlog::warn("worker {} cannot be told anything: {}", pid(), std::generic_category().message(errno));
    }
}

void WorkerHandle::ask_for_trees() {
    if (control_) {
        tell(Word::trees);
    } else {
        ::kill(pid(), SIGUSR1);
    }
}

void WorkerHandle::quit() {
    if (control_) {
        tell(Word::quit);
    } else {
        ::kill(pid(), SIGQUIT);
    }
}

void WorkerHandle::retire(Clock::duration limit, Clock::duration drain_limit, bool bequeaths) {
    line_->state = State::retiring;
    until_ = Clock::now() + limit;
    drain_limit_ = drain_limit;
    inheritance_ = Fd();  // its successor has it: with that one alone it is to stand or fall
    if (control_) tell(bequeaths ? Word::bequeath : Word::retire);
}

void WorkerHandle::drain(Clock::duration limit) {
    line_->state = State::draining;
    until_ = Clock::now() + limit;
    if (control_) {
        tell(Word::drain);
    } else {
        ::kill(pid(), SIGTERM);
    }
}

void WorkerHandle::mind_limits() {
    if (Clock::now() < until_) return;
    if (state() == State::retiring) return drain(drain_limit_);
    until_ = Clock::time_point::max();
    std::fprintf(stderr, "confab: worker %d took too long to drain (--drain-timeout); what is left is cut\n",
                 pid());
    kill();
}

// A process of one connection beats by the pulse of its only reactor, which stands still while it waits, at
// an even number. Counting looks, and not time: who was stopped together with the supervisor missed none.
void WorkerHandle::inspect_beats(unsigned most_missed) {
    const bool one_connection = !control_;
    const std::uint64_t beats = one_connection ? line_->pulse.beats.load() : line_->beats.load();
    const bool well = beats != std::exchange(beats_seen_, beats) || (one_connection && beats % 2 == 0);
    beats_missed_ = well ? 0 : beats_missed_ + 1;
    if (beats_missed_ < most_missed || killed_for_ != WorkerEnd::Kind::none) return;
    if (one_connection) {
        kill_for(WorkerEnd::Kind::hung, "hangs (--worker-timeout)");
    } else if (state() == State::starting) {
        kill_for(WorkerEnd::Kind::never_ready, "is not ready in time (--worker-timeout)");
    } else {
        kill_for(WorkerEnd::Kind::silent, "gives no sign of life (--worker-timeout)");
    }
}

void WorkerHandle::kill_for(WorkerEnd::Kind why, const std::string& what) {
    killed_for_ = why;
    spdlog::error("worker {} {}: it is killed", pid(), what);
    kill();
}

void WorkerHandle::kill() const { ::kill(pid(), SIGKILL); }

Fd WorkerHandle::into_child() {
    control_ = Fd();
    feed_.giver = Fd();
    inheritance_ = Fd();
    return std::move(feed_.taker);
}

}  // namespace confab
