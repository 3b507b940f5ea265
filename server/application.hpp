// Public: what a server does with its connections.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include "coro/stream.hpp"
#include "coro/task.hpp"
#include "reactor/reactor.hpp"
#include "server/traveller.hpp"

namespace confab {

/// An application's part on one reactor. Made, used and destroyed on the reactor's thread.
class Worker {
  public:
    Worker() = default;
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;
    virtual ~Worker() = default;

    /// Serves one connection until it ends or the task is asked to stop. `stream` outlives the task, which
    /// does not close it: what is still queued when it ends is sent before the server closes. What it throws
    /// is logged, and ends this connection only.
    virtual task<void> serve(Stream& stream) = 0;

    /// Goes on with a connection that such a worker has given away, whichever reactor, process or program it
    /// belonged to. `traveller.unsent` has been queued, for this to flush, and `traveller.connection` is the
    /// stream's; the rest is for this. Otherwise as `serve`. By default nothing travels, and this throws
    /// std::logic_error.
    virtual task<void> resume(Stream& stream, Traveller traveller);

    /// For a handler that ends because it was asked to with StopReason::moved: `state` is all that `resume`
    /// will need of it. The connection then is not closed: it travels. Who ends without giving away is
    /// closed.
    void give_away(const Stream& stream, std::string state);
    /// What a handler gave away, once it has ended.
    std::optional<std::string> take_given_away(const Stream& stream);

    /// For a handler that is about to end: its connection goes on with `next`, as if that had been its
    /// handler from the beginning. So nothing has to be kept of the first that the second does not need.
    void go_on_with(task<void> next) { next_ = std::move(next); }
    /// What the handler that has just ended named; a task without a frame: nothing.
    task<void> take_next() { return std::exchange(next_, {}); }

    /// The server is going down: the moment for a last word. The tasks of all connections are asked to stop
    /// next.
    virtual void drain() {}

  private:
    std::unordered_map<const Stream*, std::string> given_away_;
    task<void> next_;
};

/// An application. It is asked for a worker on each reactor's own thread, several at a time.
class Application {
  public:
    Application() = default;
    Application(const Application&) = delete;
    Application& operator=(const Application&) = delete;
    virtual ~Application() = default;

    virtual std::unique_ptr<Worker> make_worker(Reactor& reactor) = 0;

    /// Whether its workers give connections away when they are asked to (Worker::give_away).
    virtual bool travels() const { return false; }

    /// A connection that one of its workers gave away with this state was lost with the process that was to
    /// resume it, perhaps after it had. Any thread.
    virtual void lost(const std::string& /*state*/) {}
};

/// What to do with one connection, where nothing is shared between connections: see Worker::serve.
using Handler = std::function<task<void>(Stream&)>;

/// The application that runs `handler` for every connection. It is called on all reactors' threads.
std::unique_ptr<Application> make_application(Handler handler);

}  // namespace confab
