#include "server/scoreboard.hpp"

#include <cstring>
#include <new>

namespace confab {

static_assert(std::atomic<WorkerEnd>::is_always_lock_free, "a lock would be a process's own");

namespace {

// What comes before the lines: how many of them were ever in use.
constexpr std::size_t header = alignof(WorkerLine);

std::string was_killed_by(int signal) {
    const char* const name = ::sigabbrev_np(signal);  // none: a real-time signal
    return "was killed by " +
           (name != nullptr ? std::string("SIG") + name : "signal " + std::to_string(signal));
}

}  // namespace

std::string WorkerEnd::text() const {
    switch (kind) {
        case Kind::none:
            return "-";
        case Kind::exited:
            return "ended with status " + std::to_string(number);
        case Kind::killed:
            return was_killed_by(number);
        case Kind::never_ready:
            return "was never ready";
        case Kind::hung:
            return "hung";
        case Kind::silent:
            return "gave no sign of life";
        case Kind::reloaded:
            return "reloaded";
        case Kind::recycled:
            return "recycled";
        case Kind::removed:
            return "removed";
    }
    return {};
}

Scoreboard::Scoreboard(std::size_t lines)
    : memory_(header + lines * sizeof(WorkerLine)),
      used_(std::launder(reinterpret_cast<std::atomic<std::size_t>*>(memory_.bytes().data()))),
      // Zeros are what a line begins with, so those that are never used need never be touched.
      lines_(std::launder(reinterpret_cast<WorkerLine*>(memory_.bytes().data() + header)), lines) {}

std::size_t Scoreboard::connections() const {
    std::size_t sum = 0;
    for (const WorkerLine& line : lines()) sum += line.connections.load(std::memory_order_seq_cst);
    return sum;
}

std::uint64_t Scoreboard::served() const {
    std::uint64_t sum = 0;
    for (const WorkerLine& line : lines()) sum += line.served.load(std::memory_order_relaxed);
    return sum;
}

bool Scoreboard::has_share(const WorkerLine& own) const {
    std::size_t workers = 0;
    std::size_t connections = 0;
    for (const WorkerLine& line : lines()) {
        const bool takes_part = line.pid != 0 && line.state == WorkerLine::State::ready;
        if (!takes_part && &line != &own) continue;
        ++workers;
        connections += line.connections.load(std::memory_order_relaxed);
    }
    return own.connections.load(std::memory_order_relaxed) * workers * 8 <= connections * 9;
}

WorkerLine& Scoreboard::take() {
    if (free_.empty()) return lines_[used_->fetch_add(1, std::memory_order_seq_cst)];
    const std::size_t number = free_.top();
    free_.pop();
    return lines_[number];
}

void Scoreboard::give_back(WorkerLine& line) {
    line.pid = 0;
    line.state = WorkerLine::State::starting;
    line.place = 0;
    line.restarts = 0;
    line.last_end = WorkerEnd{};
    line.since = 0;
    line.connections = 0;
    line.served = 0;
    line.receives = 0;
    line.beats = 0;
    line.pulse.beats = 0;
    line.pulse.receives = 0;
    line.spent = {};
    free_.push(static_cast<std::size_t>(&line - lines_.data()));
}

}  // namespace confab
