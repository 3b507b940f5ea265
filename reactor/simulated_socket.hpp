// Internal to reactor: a socket of SimulatedSockets.
#pragma once

#include <cstdint>
#include <vector>

#include "reactor/simulated_pipe.hpp"
#include "reactor/simulated_sockets.hpp"

namespace confab {

struct SimulatedSockets::Socket {
    enum class Kind : std::uint8_t { fresh, connecting, stream, listener };

    std::uint64_t serial = 0;
    int fd = -1;
    Kind kind = Kind::fresh;
    const char* origin = "";
    int error = 0;  // to be told once, by the next call (SO_ERROR)

    // A stream. Its peer is null when the other end is closed, or word of a reset is on its way here.
    Socket* peer = nullptr;
    SimulatedPipe incoming;
    bool end_sent = false;
    bool reading_shut = false;
    bool broken = false;   // reset: nothing goes out or comes in any more
    bool doomed = false;   // a reset is on its way here
    bool starved = false;  // a send found too little room

    // Connecting, or a listener.
    std::uint16_t port = 0;
    int knocks = 0;
    bool shared = false;
    std::vector<Socket*> backlog;
};

}  // namespace confab
