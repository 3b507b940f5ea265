// Public: accepting and making connections.
#pragma once

#include "coro/operation_awaiter.hpp"
#include "coro/task.hpp"
#include "reactor/endpoint.hpp"

namespace confab {

/// An operation whose result is a number: a descriptor, poll events, or 0.
class [[nodiscard]] NumberAwaiter : public OperationAwaiter {
  public:
    NumberAwaiter(Kind kind, int fd, Duration limit, std::source_location where)
        : OperationAwaiter(kind, fd, limit, where) {}
    std::expected<int, std::error_code> await_resume() const { return outcome(); }
};

/// `co_await accept(listening)`: the next connection's descriptor, which the caller owns (give it to a
/// Stream), or an error; EMFILE and ENFILE leave the connection in the queue. `listening` must stay open
/// meanwhile.
inline NumberAwaiter accept(int listening, Duration limit = no_limit,
                            std::source_location where = std::source_location::current()) {
    return {Operation::Kind::accept, listening, limit, where};
}

class [[nodiscard]] Connect : public NumberAwaiter {
  public:
    Connect(int fd, const Endpoint& peer, Duration limit, std::source_location where)
        : NumberAwaiter(Kind::connect, fd, limit, where), peer_(peer) {
        address = {.data = peer_.address(), .size = peer_.size()};
    }

  private:
    Endpoint peer_;
};

/// `co_await connect(fd, peer)`: connects a fresh socket (see make_socket).
inline Connect connect(int fd, const Endpoint& peer, Duration limit = no_limit,
                       std::source_location where = std::source_location::current()) {
    return {fd, peer, limit, where};
}

class [[nodiscard]] PollEvents : public NumberAwaiter {
  public:
    PollEvents(int fd, short wanted, Duration limit, std::source_location where)
        : NumberAwaiter(Kind::poll, fd, limit, where) {
        events = wanted;
    }
};

/// `co_await poll_events(fd, POLLIN)`: the poll(2) events among `wanted` that hold for a foreign descriptor,
/// as soon as any does.
inline PollEvents poll_events(int fd, short wanted, Duration limit = no_limit,
                              std::source_location where = std::source_location::current()) {
    return {fd, wanted, limit, where};
}

/// `co_await close_descriptor(fd)`: closes a descriptor that a reactor has served, once nothing is in flight
/// on it. Cannot be cancelled.
inline NumberAwaiter close_descriptor(int fd, std::source_location where = std::source_location::current()) {
    return {Operation::Kind::close, fd, no_limit, where};
}

}  // namespace confab
