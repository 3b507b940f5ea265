#include "reactor/simulated_mechanism.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <stdexcept>

namespace confab {

namespace {

using Kind = Operation::Kind;

constexpr std::array<const char*, 8> kind_names{"accept",   "connect", "receive", "send",
                                                "shutdown", "close",   "poll",    "sleep"};

bool all_sent(const Operation& operation) {
    return operation.kind == Kind::send && operation.result >= 0 && operation.parts.count == 0;
}

}  // namespace

SimulatedMechanism::SimulatedMechanism(Ledger& ledger, SimulatedNetwork& network, std::size_t receive_size)
    : Mechanism(ledger, {.lends_scratch = network.options().lends_scratch}),
      sockets_(*network.sockets_),
      faults_(*network.faults_),
      first_descriptor_(network.options().first_descriptor),
      receive_size_(receive_size),
      buffers_(receive_size) {
    sockets_.attach(*this);
}

SimulatedMechanism::~SimulatedMechanism() {
    sockets_.detach(*this);
    buffers_.take_back(scratch_);
    for (Watched& watched : table_) buffers_.take_back(watched.loan);
}

std::string SimulatedMechanism::description() const {
    return traits().lends_scratch ? "simulated" : "simulated (lends buffers)";
}

// ---- The seam ----

bool SimulatedMechanism::submit(Operation& operation) {
    if (!sockets_.is_open(operation.fd)) {
        operation.result = -EBADF;
        return true;
    }
    Watched& watched = watch(operation.fd);
    if (watched.close != nullptr) {
        operation.result = -ECANCELED;
        return true;
    }
    operation.result = 0;
    switch (operation.kind) {
        case Kind::receive:
            buffers_.take_back(watched.loan);
            [[fallthrough]];
        case Kind::accept:
            park(operation, Outcome::blocked);
            return false;
        case Kind::connect:
            return submit_connect(operation);
        case Kind::send:
            return submit_send(operation);
        case Kind::close:
        case Kind::release:
            return submit_close(operation);
        case Kind::shutdown:
            if (!fails(operation)) operation.result = sockets_.shutdown(operation.fd, operation.how);
            return true;
        default:
            if (attempt(operation) == Outcome::over) return true;
            park(operation, Outcome::blocked);
            return false;
    }
}

void SimulatedMechanism::cancel(Operation& operation) {
    Watched& watched = this->watched(operation.fd);
    const auto found = std::ranges::find(watched.parked, &operation, &Parked::operation);
    // Not found: a close that waits for others, and will not be long.
    if (found != watched.parked.end()) ask_to_end(watched, found - watched.parked.begin());
}

void SimulatedMechanism::wait(Instant deadline, bool posts_expected) {
    buffers_.take_back(scratch_);
    const bool woken = woken_.exchange(false, std::memory_order_acquire);
    if (woken || !due_.empty() || deadline <= now()) return;
    const Instant next = std::min(deadline, sockets_.next_event());
    if (next != never) {
        sockets_.advance(next);
    } else if (posts_expected) {
        woken_.wait(false, std::memory_order_acquire);
    }
}

void SimulatedMechanism::wake() noexcept {
    woken_.store(true, std::memory_order_release);
    woken_.notify_one();
}

Instant SimulatedMechanism::next_completion() const {
    return due_.empty() ? sockets_.next_event() : Instant::min();
}

void SimulatedMechanism::collect(JobQueue& ready) {
    if (due_.size() > 1 && faults_.reorder()) faults_.shuffle(due_);
    for (Operation* const operation : due_) hand_over(*operation, ready);
    due_.clear();
}

bool SimulatedMechanism::finish(Operation& operation) {
    buffers_.take_back(scratch_);
    Watched& watched = this->watched(operation.fd);
    --watched.handed_out;
    if (operation.is_last()) {
        close_now(watched, operation);
        return true;
    }
    if (watched.close != nullptr && !all_sent(operation)) operation.result = -ECANCELED;
    const Outcome outcome = operation.result < 0 ? Outcome::over : attempt(operation);
    if (outcome != Outcome::over) {
        park(operation, outcome);
        return false;
    }
    if (operation.kind == Kind::send) watched.sending = false;
    close_when_alone(watched);
    return true;
}

int SimulatedMechanism::send_now(int fd, Bytes bytes) {
    if (!sockets_.is_open(fd)) return -EBADF;
    Watched& watched = watch(fd);
    if (watched.close != nullptr) return -ECANCELED;
    if (watched.sending) throw std::logic_error("send_now during a send on descriptor " + std::to_string(fd));
    if (faults_.reset()) sockets_.reset(fd, ECONNRESET);
    if (const int error = faults_.failure(Kind::send); error != 0) return -error;
    const int sent = sockets_.send(fd, bytes.first(faults_.piece(Kind::send, bytes.size())));
    if (sent > 0) ledger().bytes_sent += static_cast<std::uint64_t>(sent);
    return sent;
}

// ---- Operations in flight ----

SimulatedMechanism::Watched& SimulatedMechanism::watch(int fd) {
    if (index(fd) >= table_.size()) table_.resize(index(fd) + 1);
    return watched(fd);
}

// Parks an operation that was tried, or whose kind is not tried before it is handed out.
void SimulatedMechanism::park(Operation& operation, Outcome why) {
    Watched& watched = this->watched(operation.fd);
    if (why == Outcome::paused) {
        park_late(operation, faults_.pause());
        return;
    }
    operation.state = Operation::State::in_flight;
    watched.parked.push_back({&operation, ++tokens_given_, Parked::Stage::waiting});
    consider(watched, std::ssize(watched.parked) - 1);
}

void SimulatedMechanism::park_late(Operation& operation, Duration delay) {
    Watched& watched = this->watched(operation.fd);
    operation.state = Operation::State::in_flight;
    watched.parked.push_back({&operation, ++tokens_given_, Parked::Stage::late});
    sockets_.call_back(*this, operation.fd, tokens_given_, delay);
}

// Hands a waiting operation out if its descriptor is ready for it. True: it is out of `parked`.
bool SimulatedMechanism::consider(Watched& watched, std::ptrdiff_t position) {
    Parked& parked = watched.parked[static_cast<std::size_t>(position)];
    const Operation& operation = *parked.operation;
    if (parked.stage != Parked::Stage::waiting) return false;
    if ((sockets_.events(operation.fd) & events_for(operation)) == 0) return false;
    const Duration late = faults_.lateness(operation.kind);
    if (late == Duration::zero()) {
        hand_out(watched, position);
        return true;
    }
    parked.stage = Parked::Stage::late;
    sockets_.call_back(*this, operation.fd, parked.token, late);
    return false;
}

// True: it is out of `parked`. False: it will be before long.
bool SimulatedMechanism::ask_to_end(Watched& watched, std::ptrdiff_t position) {
    Parked& parked = watched.parked[static_cast<std::size_t>(position)];
    Operation& operation = *parked.operation;
    if (parked.stage == Parked::Stage::cancelled) return false;
    // What is late has perhaps been over before it was asked to end.
    const bool over_before = parked.stage == Parked::Stage::late && faults_.coin();
    if (operation.is_last() || all_sent(operation) || over_before) {
        hand_out(watched, position);
        return true;
    }
    operation.result = -ECANCELED;
    const Duration late = faults_.lateness(operation.kind);
    if (late == Duration::zero()) {
        hand_out(watched, position);
        return true;
    }
    parked.stage = Parked::Stage::cancelled;
    parked.token = ++tokens_given_;
    sockets_.call_back(*this, operation.fd, parked.token, late);
    return false;
}

void SimulatedMechanism::hand_out(Watched& watched, std::ptrdiff_t position) {
    const auto parked = watched.parked.begin() + position;
    Operation& operation = *parked->operation;
    watched.parked.erase(parked);
    hand_out(watched, operation);
}

void SimulatedMechanism::hand_out(Watched& watched, Operation& operation) {
    ++watched.handed_out;
    operation.state = Operation::State::ready;
    due_.push_back(&operation);
}

void SimulatedMechanism::readiness_changed(int fd) {
    if (index(fd) >= table_.size()) return;
    Watched& watched = this->watched(fd);
    for (std::ptrdiff_t i = 0; i < std::ssize(watched.parked);) {
        if (!consider(watched, i)) ++i;
    }
}

void SimulatedMechanism::called_back(int fd, std::uint64_t token) {
    Watched& watched = this->watched(fd);
    const auto found = std::ranges::find(watched.parked, token, &Parked::token);
    if (found != watched.parked.end()) hand_out(watched, found - watched.parked.begin());
}

bool SimulatedMechanism::has_in_flight(int fd) const {
    if (index(fd) >= table_.size()) return false;
    const Watched& watched = table_[index(fd)];
    return !watched.parked.empty() || watched.handed_out > 0 || watched.close != nullptr;
}

std::string SimulatedMechanism::in_flight() const {
    std::string text;
    const auto add = [&](const Operation& operation) {
        text += kind_names[static_cast<std::size_t>(operation.kind)];
        text += " on descriptor " + std::to_string(operation.fd) + " is in flight\n";
    };
    for (const Operation* const operation : due_) add(*operation);
    for (const Watched& watched : table_) {
        for (const Parked& parked : watched.parked) add(*parked.operation);
    }
    return text;
}

}  // namespace confab
