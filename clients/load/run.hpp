// Public: runs a load on threads of its own.
#pragma once

#include "clients/load/options.hpp"
#include "clients/load/result.hpp"
#include "coro/task.hpp"

namespace confab::load {

/// What may be done to a load while it runs; on the thread that runs it.
class Controls {
  public:
    /// Another rate for an open loop from now on, whatever its profile says. Without effect on a closed one.
    virtual void change_rate(double rate) = 0;
    /// Ends it early, with what it has.
    virtual void finish() = 0;

  protected:
    ~Controls() = default;
};

/// Whom a load tells how it goes; called on the thread that runs it.
class Observer {
  public:
    Observer() = default;
    Observer(const Observer&) = delete;
    Observer& operator=(const Observer&) = delete;
    virtual ~Observer() = default;

    /// All connections have been made or refused.
    virtual void connected() {}
    /// Another block has been measured.
    virtual void measured(const Block& /*block*/) {}
    /// A task that runs beside the load, and is asked to stop at its end; `controls` lives as long.
    virtual task<void> attend(Controls& /*controls*/) { co_return; }
};

/// Runs the load that `options` (without a fault) describe against `server` and returns when it is over. At
/// SIGINT or SIGTERM it ends early, with what it has; a second one ends the program. Throws
/// std::runtime_error, a sentence, when not one connection could be made, and what the system refuses.
LoadResult run_load(const LoadOptions& options, const Endpoint& server, Observer& observer);

}  // namespace confab::load
