// Internal to server: what runs on one thread of a server.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "pools/annotated_mutex.hpp"
#include "reactor/ledger.hpp"
#include "reactor/reactor.hpp"
#include "server/accept_loop.hpp"
#include "server/application.hpp"
#include "server/byte_apps.hpp"
#include "server/connection_slots.hpp"
#include "server/server.hpp"
#include "server/strategy.hpp"
#include "server/traveller.hpp"

namespace confab {

/// What all hosts of a server share. Outlives them.
struct HostContext {
    Application& application;
    const Strategy& strategy;
    const ReactorOptions& reactor_options;
    const StreamLimits& stream_limits;
    ConnectionSlots& slots;

    // Any thread.
    Mutex mutex{};
    Ledger ledger CONFAB_GUARDED_BY(mutex){};        ///< of the reactors that have ended
    unsigned reactors CONFAB_GUARDED_BY(mutex) = 0;  ///< that have been named
    bool warned CONFAB_GUARDED_BY(mutex) = false;    ///< the mechanism's warning has been said

    void add(const Ledger& of_one_reactor);
    void warn_once(const Reactor& reactor);
    /// What reports call the next reactor: "reactor 0", "reactor 1" ...
    std::string next_name();
};

/// What the hosts of one process share, made from a server's options.
struct ServerContext {
    /// `others`: see ConnectionSlots. `pulse`: see ReactorOptions; only where there is one reactor.
    ServerContext(const ServerOptions& options, Application& application, ConnectionSlots::Others others,
                  Pulse* pulse = nullptr);

    Ledger ledger();

    const ReactorOptions reactor_options;
    const StreamLimits stream_limits;
    ConnectionSlots slots;
    HostContext shared;
};

/// What one host serves.
struct Inlet {
    std::vector<Source> sources{};
    Fd connection{};  ///< one that is there already; without sources it is all there will ever be
};

/// Something that serves connections on the thread that calls `serve`, until drained.
class Host {
  public:
    Host() = default;
    Host(const Host&) = delete;
    Host& operator=(const Host&) = delete;
    virtual ~Host() = default;

    /// Serves what comes in until `drain`; returns when the last connection has been closed. Throws
    /// std::system_error when it cannot begin; calls `begun` when it can.
    virtual void serve(Inlet inlet, const std::function<void()>& begun) = 0;

    // Any thread; once `begun` was called. Without effect when `serve` has returned.

    /// Stops accepting; `serve` returns when the connections have ended by themselves, or have been taken
    /// over by `hand_over`, if there is one; it is called on the host's thread. Once.
    virtual void retire(HandOver hand_over) = 0;

    /// Goes on with a connection that another process gave away. Only where Strategy::connections_travel.
    virtual void adopt(Traveller traveller);

    /// Stops accepting, has the connections end, and `serve` return. Once.
    virtual void drain() = 0;

    /// Posts `job` to the host's reactor (Reactor::post).
    virtual void post(Job& job) = 0;
};

/// Something to be done on a reactor's own thread, asked for by another.
class HostJob : Job {
  public:
    explicit HostJob(std::function<void()> work);
    /// Any thread, once.
    void post_to(Reactor& reactor) { reactor.post(*this); }

  private:
    std::function<void()> work_;
};

/// The host that the strategy of `context` asks for.
std::unique_ptr<Host> make_host(HostContext& context, Transform callback_transform);
/// One reactor whose connections are tasks; with Strategy::one_at_a_time, one task after the other.
std::unique_ptr<Host> make_task_host(HostContext& context);
/// One reactor that accepts, and a thread with a reactor of its own for each connection.
std::unique_ptr<Host> make_thread_host(HostContext& context);
/// One reactor whose connections are state machines.
std::unique_ptr<Host> make_callback_host(HostContext& context, Transform transform);

}  // namespace confab
