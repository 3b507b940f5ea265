// Internal to clients: load for servers that send back what they get.
#pragma once

#include <memory>

#include "clients/load/driver.hpp"
#include "clients/load/pattern.hpp"

namespace confab::load {

struct EchoSettings {
    std::size_t connections = 1;
    std::size_t size = 64;     ///< bytes of a message; no multiple of Pattern::period
    std::size_t pipeline = 1;  ///< messages under way on a connection, at most
    /// Connections that may be in the making at once: more than a listener's queue holds would only time out.
    std::size_t connecting = 256;
    bool churn = false;       ///< each message has a connection of its own; `pipeline` is then 1
    std::uint32_t first = 0;  ///< number of this worker's first connection; says where its messages begin
};

/// `pattern` must give EchoSettings::size times pipeline bytes in one piece, and what a receive lends; it
/// outlives the driver, and so does `wiring`.
std::unique_ptr<Driver> make_echo_load(const EchoSettings& settings, const Pattern& pattern, Wiring wiring);

}  // namespace confab::load
