// Internal to clients: connections to the server under load.
#pragma once

#include <cstdint>
#include <expected>
#include <system_error>

#include "coro/context.hpp"
#include "coro/task.hpp"
#include "reactor/endpoint.hpp"

namespace confab {
class SimulatedNetwork;
}

namespace confab::load {

/// Makes connections. To a loopback address of IPv4 each is made from the next of two hundred loopback
/// addresses, since from one there can be no more than there are ports (28 thousand): that is room for
/// millions, and for as many that are over and linger. Reactor's thread only.
class Dialer {
  public:
    /// `first`: the number of the first source address, so that several dialers do not begin with the same.
    /// `network`: null, or the simulated one that the reactor is of; outlives this.
    Dialer(const Endpoint& peer, Duration limit, std::uint32_t first, SimulatedNetwork* network)
        : peer_(peer), limit_(limit), source_(first), network_(network) {}

    /// A connected descriptor, which the caller owns (give it to a Stream), or why not; timed_out after the
    /// limit.
    task<std::expected<int, std::error_code>> dial();

    const Endpoint& peer() const { return peer_; }

  private:
    std::expected<int, std::error_code> open_socket();
    std::expected<void, std::error_code> bind_source(int fd);

    const Endpoint peer_;
    const Duration limit_;
    std::uint32_t source_;
    SimulatedNetwork* const network_;
};

}  // namespace confab::load
