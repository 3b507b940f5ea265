// Public: runs a load on threads of its own.
#pragma once

#include "clients/load/options.hpp"
#include "clients/load/result.hpp"

namespace confab::load {

/// Whom a load tells how it goes; called on the thread that runs it.
class Observer {
  public:
    /// All connections have been made or refused.
    virtual void connected() {}
    /// Another block has been measured.
    virtual void measured(const Block& /*block*/) {}

    virtual ~Observer() = default;
};

/// Runs the load that `options` (without a fault) describe against `server` and returns when it is over. At
/// SIGINT or SIGTERM it ends early, with what it has; a second one ends the program. Throws
/// std::runtime_error, a sentence, when not one connection could be made, and what the system refuses.
LoadResult run_load(const LoadOptions& options, const Endpoint& server, Observer& observer);

}  // namespace confab::load
