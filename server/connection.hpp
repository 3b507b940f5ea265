// Internal to server: the life of one connection, from descriptor to close.
#pragma once

#include <functional>
#include <optional>

#include "coro/scope.hpp"
#include "coro/stream.hpp"
#include "coro/task.hpp"
#include "server/accept_loop.hpp"
#include "server/application.hpp"
#include "server/traveller.hpp"

namespace confab {

/// A connection is a task of its scope: the worker's handler first, or several, one after the other; and when
/// that has ended - however it did
/// - the farewell, which sends what is still owed and closes. An idle connection is this object and the
/// handler's frame. One that its handler has given away travels instead.
///
/// Asked to stop, it ends soon, within the stream's send limit plus a second; it always closes.
class Connection final : public ScopedTask {
  public:
    struct Place {
        Worker& worker;              ///< outlives it
        const StreamLimits& limits;  ///< likewise
        SlotQueue* slots = nullptr;  ///< gets the connection's slot back, if there is one; likewise
        /// Gets those that are given away (Worker::give_away); none: they are closed.
        std::function<void(Traveller)> departed{};
    };

    /// Starts a connection on `fd`, which it owns from here on, in `owner`. It frees itself.
    static void start(scope& owner, const Place& place, int fd);
    /// Goes on with one that was given away elsewhere.
    static void arrive(scope& owner, const Place& place, Traveller traveller);

  private:
    friend Connection* block_cache::make<Connection>(scope&, const Place&, int&);
    friend Connection* block_cache::make<Connection>(scope&, const Place&, Traveller&);
    friend void block_cache::destroy<Connection>(Connection*) noexcept;

    Connection(scope& owner, const Place& place, int fd);
    Connection(scope& owner, const Place& place, Traveller& traveller);
    ~Connection() = default;

    std::coroutine_handle<> body() noexcept override { return body_.handle(); }
    void settle(bool started) noexcept override;
    std::optional<Traveller> departing(bool started);
    void log_failure() noexcept;

    const Place& place_;
    Stream stream_;
    const bool has_travelled_ = false;  // true exactly when a handler elsewhere has begun with it
    task<void> body_;                   // a handler while the state is `running`, then the farewell
};

}  // namespace confab
