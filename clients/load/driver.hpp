// Internal to clients: what an application's load is to the worker that runs it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "clients/load/dialer.hpp"
#include "clients/load/faults.hpp"
#include "clients/load/injector.hpp"
#include "clients/load/traffic.hpp"
#include "coro/event.hpp"
#include "coro/scope.hpp"

namespace confab::load {

/// What a worker's connections share. Outlives them.
struct Wiring {
    Reactor& reactor;
    Dialer& dialer;
    Injector& injector;
    Traffic& traffic;
};

/// What became of a worker's connections.
struct Attendance {
    std::size_t served = 0;   ///< had an answer
    std::size_t starved = 0;  ///< are connected and never had one: somebody else kept the server busy
    std::vector<std::uint32_t> answers;  ///< echo, lasting connections: how many each had
};

/// One worker's share of an application's load. Reactor's thread only.
class Driver {
  public:
    explicit Driver(Traffic& traffic) : traffic_(traffic) {}
    Driver(const Driver&) = delete;
    Driver& operator=(const Driver&) = delete;
    virtual ~Driver() = default;

    /// Spawns tasks that make the connections and then send what the injector hands them, until they are
    /// asked to stop or their connections are gone.
    virtual void spawn_all(scope& connections) = 0;

    /// Set when every connection has been made or refused, and again whenever the last of them is gone.
    event& settled() { return settled_; }
    /// Does not wait any longer for those that have not been connected: they are welcome later.
    void wait_no_longer() { pending_ = 0; }
    /// Connections that are open now.
    std::size_t open_connections() const { return open_; }

    /// Complete once the tasks have ended; before that without what is still under way.
    virtual Faults faults() const = 0;
    virtual Attendance attendance() const = 0;
    /// What the first connection died of; empty: none did.
    const std::string& first_loss() const { return first_loss_; }

  protected:
    void expect(std::size_t connections) { pending_ = connections; }
    void connected() {
        ++open_;
        made_or_refused();
    }
    void refused(const std::error_code& why) {
        note("cannot connect: " + why.message());
        made_or_refused();
    }
    /// `why`: empty when it was meant to end.
    void gone(const std::string& why) {
        --open_;
        if (!why.empty()) note(why);
        if (open_ > 0 || pending_ > 0) return;
        settled_.set();
        traffic_.enough().set();
    }

  private:
    void made_or_refused() {
        if (pending_ > 0 && --pending_ == 0) settled_.set();
    }
    void note(const std::string& why) {
        if (first_loss_.empty()) first_loss_ = why;
    }

    Traffic& traffic_;
    std::size_t pending_ = 0, open_ = 0;
    event settled_;
    std::string first_loss_;
};

}  // namespace confab::load
