// Internal to clients: load for servers that answer each message.
#pragma once

#include <memory>

#include "clients/load/dialogue.hpp"
#include "clients/load/driver.hpp"

namespace confab::load {

struct RequestSettings {
    std::size_t connections = 1;
    std::size_t pipeline = 1;  ///< messages under way on a connection, at most
    /// Connections that may be in the making at once: more than a listener's queue holds would only time out.
    std::size_t connecting = 256;
    bool churn = false;  ///< each message has a connection of its own; `pipeline` is then 1
};

/// `dialogues` say up to RequestSettings::pipeline messages at once. What `wiring` refers to outlives the
/// driver.
std::unique_ptr<Driver> make_request_load(const RequestSettings& settings,
                                          std::unique_ptr<Dialogues> dialogues, Wiring wiring);

}  // namespace confab::load
