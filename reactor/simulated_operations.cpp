// SimulatedMechanism: how each kind of operation is begun and tried.
#include <netinet/in.h>
#include <poll.h>

#include <algorithm>
#include <stdexcept>

#include "reactor/simulated_mechanism.hpp"

namespace confab {

using Kind = Operation::Kind;

namespace {

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

}  // namespace

// The poll(2) events that mean "try `operation` now".
short SimulatedMechanism::events_for(const Operation& operation) {
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

SimulatedMechanism::Outcome SimulatedMechanism::settle_at_once(Operation& operation) {
    operation.result = operation.parts.taken();
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
    auto& loan = traits().lends_scratch ? scratch_ : watched(operation.fd).loan;
    const std::span<std::byte> buffer = buffers_.lend(loan, size);
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
        if (sent == -EAGAIN && operation.at_once) return settle_at_once(operation);
        if (sent < 0) return settle(operation, sent);
        ledger().bytes_sent += static_cast<std::uint64_t>(sent);
        parts.advance(static_cast<std::size_t>(sent));
        const bool shortened = piece.size() < part.size() && static_cast<std::size_t>(sent) == piece.size();
        if (shortened) return operation.at_once ? settle_at_once(operation) : Outcome::paused;
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
    buffers_.take_back(watched.loan);
    watched.close = nullptr;
    if (operation.kind == Kind::release) {
        watched = Watched();
        operation.result = 0;
        operation.bytes = {};
        return;
    }
    operation.result = sockets_.close(operation.fd);
}

}  // namespace confab
