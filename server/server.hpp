// Public: a server: listeners, a strategy, an application, and a way to end.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "reactor/endpoint.hpp"
#include "reactor/ledger.hpp"
#include "server/application.hpp"
#include "server/byte_apps.hpp"
#include "server/connection_slots.hpp"
#include "server/listeners.hpp"
#include "server/strategy.hpp"
#include "server/traveller.hpp"

namespace confab {

/// What a connection may take of the server, with the reasons for the defaults.
struct ServerLimits {
    /// More would need more descriptors than most systems give a process, and is a decision.
    std::size_t connections = 100'000;
    /// Who says nothing at all for ten minutes is a port scanner, or gone.
    Duration first_byte = std::chrono::minutes(10);
    /// People fall silent for long; peers that vanished without a word are to be found some day.
    Duration idle = std::chrono::hours(1);
    /// A peer that takes nothing for this long, while it is owed something, is gone.
    Duration send = std::chrono::seconds(30);
};

struct ServerOptions {
    std::vector<std::string> listen{"127.0.0.1:8080"};  ///< as Endpoint::resolve reads them
    /// Listening sockets that somebody else has opened, to be used instead of `listen`, and closed: the
    /// numbers of the descriptors. Their files, if they have any, stay, but with `inherits_files`.
    std::vector<int> inherited{};
    bool inherits_files = false;
    Strategy strategy{};
    ServerLimits limits{};
    std::string uring_features = "all";
    /// The processors, by the kernel's numbers, on which the threads that take connections stay, one for
    /// each; none: wherever the kernel puts them.
    std::vector<int> processors{};
};

struct Inlet;

/// Runs an application on a strategy. One thread makes, starts and joins it.
class Server {
  public:
    /// `application` outlives the server. `callback_transform`: what a strategy of callbacks does instead.
    /// `others`: the processes with which it shares its bounds, if any.
    Server(ServerOptions options, Application& application, Transform callback_transform = nullptr,
           ConnectionSlots::Others others = {});
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;
    /// Drains and joins if that has not been done.
    ~Server();

    /// Opens the listeners and starts the threads; returns when all accept. Throws std::runtime_error with a
    /// sentence that says what and why ("cannot listen on 127.0.0.1:8080: address already in use").
    void start();
    /// The same with listeners that are open, in the sets that `open_listeners` makes.
    void start(Listeners listeners);
    /// Starts the threads; connections come over `feed`, as server/feed.hpp has it.
    void start(const Fd& feed);

    /// The listeners for a server with these options. Throws as `start`.
    static Listeners open_listeners(const ServerOptions& options);

    /// The addresses that are listened on, with real ports, in the order of the options.
    const std::vector<Endpoint>& addresses() const { return addresses_; }
    const Strategy& strategy() const { return options_.strategy; }
    Application& application() const { return application_; }

    /// Stops accepting. With `hand_over`, which any of its threads may call, the connections go where that
    /// sends them, if the application knows how; what is left ends by itself. One thread does this, `adopt`
    /// and `drain`; once started.
    void retire(const HandOver& hand_over = {});
    /// Goes on with a connection that another process gave away. Requires: Strategy::connections_travel. When
    /// all has ended here it is closed.
    void adopt(Traveller traveller);

    /// Stops accepting and has every connection end: what is owed is sent first.
    void drain();

    /// Readable, and stays so, when all connections have ended after `retire` or `drain`, so that `join`
    /// waits no more. Once started.
    int end_descriptor() const;

    /// Waits until all has ended, after `retire` or `drain`.
    void join();

    /// The sum of the reactors' ledgers. Requires: joined.
    Ledger ledger();

  private:
    struct Running;

    void start(std::vector<Inlet> inlets);
    void wait_until_begun();

    const ServerOptions options_;
    Application& application_;
    const Transform callback_transform_;
    const ConnectionSlots::Others others_;
    std::vector<Endpoint> addresses_;
    bool owns_files_ = false;  // true exactly when the files of Unix sockets are this one's to remove
    std::unique_ptr<Running> running_;
};

}  // namespace confab
