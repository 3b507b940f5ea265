#include "reactor/simulated_mechanism.hpp"

#include <netinet/in.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <stdexcept>
#include <utility>

#if defined(__SANITIZE_ADDRESS__)
#define CONFAB_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CONFAB_ASAN 1
#endif
#endif
#ifdef CONFAB_ASAN
#include <sanitizer/asan_interface.h>
#endif

namespace confab {

namespace {

using Kind = Operation::Kind;

constexpr std::array<const char*, 8> kind_names{"accept",   "connect", "receive", "send",
                                                "shutdown", "close",   "poll",    "sleep"};

// What memory that was lent and has gone back reads as: not zero, not text, not UTF-8.
constexpr int gone = 0xdb;

void forbid([[maybe_unused]] const std::byte* memory, [[maybe_unused]] std::size_t size) {
#ifdef CONFAB_ASAN
    ASAN_POISON_MEMORY_REGION(memory, size);
#endif
}

void permit([[maybe_unused]] const std::byte* memory, [[maybe_unused]] std::size_t size) {
#ifdef CONFAB_ASAN
    ASAN_UNPOISON_MEMORY_REGION(memory, size);
#endif
}

// The poll(2) events that mean "try `operation` now".
short events_for(const Operation& operation) {
    constexpr short always = POLLHUP | POLLERR;
    switch (operation.kind) {
        case Kind::accept:
        case Kind::receive:
            return POLLIN | POLLRDHUP | always;
        case Kind::poll:
            return static_cast<short>(operation.events | always);
        default:
            return POLLOUT | always;
    }
}

// Out of anything but AF_INET and AF_INET6: -EAFNOSUPPORT.
int port_of(const Operation::Address& address) {
    if (address.size >= sizeof(sockaddr_in) && address.data->sa_family == AF_INET) {
        return ntohs(reinterpret_cast<const sockaddr_in*>(address.data)->sin_port);
    }
    if (address.size >= sizeof(sockaddr_in6) && address.data->sa_family == AF_INET6) {
        return ntohs(reinterpret_cast<const sockaddr_in6*>(address.data)->sin6_port);
    }
    return -EAFNOSUPPORT;
}

bool all_sent(const Operation& operation) {
    return operation.kind == Kind::send && operation.result >= 0 && operation.parts.count == 0;
}

}  // namespace

SimulatedMechanism::SimulatedMechanism(Ledger& ledger, SimulatedNetwork& network, std::size_t receive_size)
    : Mechanism(ledger, {.lends_scratch = network.options().lends_scratch}),
      sockets_(*network.sockets_),
      faults_(*network.faults_),
      first_descriptor_(network.options().first_descriptor),
      receive_size_(receive_size) {
    if (traits().lends_scratch) scratch_ = std::make_unique<std::byte[]>(receive_size);
    sockets_.attach(*this);
}

SimulatedMechanism::~SimulatedMechanism() {
    sockets_.detach(*this);
    if (scratch_ != nullptr) permit(scratch_.get(), receive_size_);
    for (const Watched& watched : table_) {
        if (watched.lent != nullptr) permit(watched.lent.get(), receive_size_);
    }
    for (const auto& buffer : buffers_) permit(buffer.get(), receive_size_);
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
            take_back(watched);
            [[fallthrough]];
        case Kind::accept:
            park(operation, Outcome::blocked);
            return false;
        case Kind::connect:
            return submit_connect(operation);
        case Kind::send:
            return submit_send(operation);
        case Kind::close:
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
    take_back_scratch();
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
    take_back_scratch();
    Watched& watched = this->watched(operation.fd);
    --watched.handed_out;
    if (operation.kind == Kind::close) {
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
    if (operation.kind == Kind::close || all_sent(operation) || over_before) {
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

// ---- Each kind ----

bool SimulatedMechanism::fails(Operation& operation) {
    const int error = faults_.failure(operation.kind);
    operation.result = -error;
    return error != 0;
}

SimulatedMechanism::Outcome SimulatedMechanism::attempt(Operation& operation) {
    switch (operation.kind) {
        case Kind::accept:
            return attempt_accept(operation);
        case Kind::receive:
            return attempt_receive(operation);
        case Kind::send:
            return attempt_send(operation);
        case Kind::connect:
            return settle(operation, sockets_.connect_result(operation.fd));
        default:
            return attempt_poll(operation);
    }
}

SimulatedMechanism::Outcome SimulatedMechanism::settle(Operation& operation, int result) {
    if (result == -EAGAIN) return Outcome::blocked;
    operation.result = result;
    return Outcome::over;
}

SimulatedMechanism::Outcome SimulatedMechanism::attempt_accept(Operation& operation) {
    while ((sockets_.events(operation.fd) & POLLIN) != 0) {
        if (!fails(operation)) break;
        if (operation.result != -ECONNABORTED) return Outcome::over;
        operation.result = 0;
        if (!sockets_.abort_next(operation.fd)) break;
    }
    return settle(operation, sockets_.accept(operation.fd));
}

SimulatedMechanism::Outcome SimulatedMechanism::attempt_receive(Operation& operation) {
    if (faults_.reset()) sockets_.reset(operation.fd, ECONNRESET);
    operation.bytes = {};
    if (fails(operation)) return Outcome::over;
    const std::size_t readable = sockets_.readable(operation.fd);
    if (readable == 0) return settle(operation, sockets_.receive(operation.fd, {}));
    const std::size_t size = faults_.piece(Kind::receive, std::min(readable, receive_size_));
    const std::span<std::byte> buffer = lend(watched(operation.fd), size);
    operation.result = sockets_.receive(operation.fd, buffer);
    operation.bytes = buffer;
    ++ledger().receives;
    ledger().bytes_received += size;
    return Outcome::over;
}

SimulatedMechanism::Outcome SimulatedMechanism::attempt_send(Operation& operation) {
    auto& parts = operation.parts;
    if (parts.count > 0) {
        if (faults_.reset()) sockets_.reset(operation.fd, ECONNRESET);
        if (fails(operation)) return Outcome::over;
    }
    while (parts.count > 0) {
        const Bytes part(static_cast<const std::byte*>(parts.data->iov_base), parts.data->iov_len);
        const Bytes piece = part.first(faults_.piece(Kind::send, part.size()));
        const int sent = sockets_.send(operation.fd, piece);
        if (sent < 0) return settle(operation, sent);
        ledger().bytes_sent += static_cast<std::uint64_t>(sent);
        parts.advance(static_cast<std::size_t>(sent));
        const bool shortened = piece.size() < part.size() && static_cast<std::size_t>(sent) == piece.size();
        if (shortened) return Outcome::paused;
    }
    operation.result = static_cast<int>(parts.done);
    return Outcome::over;
}

SimulatedMechanism::Outcome SimulatedMechanism::attempt_poll(Operation& operation) {
    if (fails(operation)) return Outcome::over;
    operation.result = sockets_.events(operation.fd) & events_for(operation);
    return operation.result == 0 ? Outcome::blocked : Outcome::over;
}

bool SimulatedMechanism::submit_connect(Operation& operation) {
    if (!fails(operation)) {
        const int port = port_of(operation.address);
        operation.result = port < 0 ? port : sockets_.connect(operation.fd, static_cast<std::uint16_t>(port));
    }
    if (operation.result == -EINPROGRESS) {
        operation.result = 0;
        park(operation, Outcome::blocked);
        return false;
    }
    const Duration late = operation.result == -ETIMEDOUT ? SimulatedSockets::connect_patience
                                                         : faults_.lateness(operation.kind);
    if (late == Duration::zero()) return true;
    park_late(operation, late);
    return false;
}

// A late send goes out at once and is reported late, or goes out late: so that whoever frees the bytes before
// the completion is found out, and whoever thinks that no answer can come before it.
bool SimulatedMechanism::submit_send(Operation& operation) {
    Watched& watched = this->watched(operation.fd);
    if (watched.sending) {
        throw std::logic_error("two sends at once on descriptor " + std::to_string(operation.fd));
    }
    const Duration late = faults_.lateness(operation.kind);
    if (late == Duration::zero()) {
        const Outcome outcome = attempt(operation);
        if (outcome == Outcome::over) return true;
        park(operation, outcome);
    } else {
        if (faults_.coin()) attempt(operation);
        park_late(operation, late);
    }
    watched.sending = true;
    return false;
}

bool SimulatedMechanism::submit_close(Operation& operation) {
    Watched& watched = this->watched(operation.fd);
    watched.close = &operation;
    for (std::ptrdiff_t i = 0; i < std::ssize(watched.parked);) {
        if (!ask_to_end(watched, i)) ++i;
    }
    operation.state = Operation::State::in_flight;
    if (!watched.parked.empty() || watched.handed_out > 0) return false;
    const Duration late = faults_.lateness(operation.kind);
    if (late > Duration::zero()) {
        park_late(operation, late);
        return false;
    }
    close_now(watched, operation);
    return true;
}

void SimulatedMechanism::close_when_alone(Watched& watched) {
    if (watched.close == nullptr || !watched.parked.empty() || watched.handed_out > 0) return;
    hand_out(watched, *watched.close);
}

void SimulatedMechanism::close_now(Watched& watched, Operation& operation) {
    take_back(watched);
    watched.close = nullptr;
    operation.result = sockets_.close(operation.fd);
}

// ---- Lent bytes ----

// `size` bytes that are the caller's until they are taken back.
std::span<std::byte> SimulatedMechanism::lend(Watched& watched, std::size_t size) {
    std::byte* memory = scratch_.get();
    if (memory == nullptr) {
        if (buffers_.empty()) buffers_.push_back(std::make_unique<std::byte[]>(receive_size_));
        watched.lent = std::move(buffers_.back());
        buffers_.pop_back();
        watched.lent_size = size;
        memory = watched.lent.get();
    } else {
        scratch_lent_ = size;
    }
    permit(memory, size);
    forbid(memory + size, receive_size_ - size);
    return {memory, size};
}

void SimulatedMechanism::take_back(Watched& watched) {
    if (watched.lent == nullptr) return;
    std::memset(watched.lent.get(), gone, watched.lent_size);
    forbid(watched.lent.get(), receive_size_);
    buffers_.push_back(std::move(watched.lent));
}

void SimulatedMechanism::take_back_scratch() {
    if (scratch_lent_ == 0) return;
    std::memset(scratch_.get(), gone, scratch_lent_);
    forbid(scratch_.get(), receive_size_);
    scratch_lent_ = 0;
}

}  // namespace confab
