// Public: what a server does with its connections.
#pragma once

#include <functional>
#include <memory>

#include "coro/stream.hpp"
#include "coro/task.hpp"
#include "reactor/reactor.hpp"

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

    /// The server is going down: the moment for a last word. The tasks of all connections are asked to stop
    /// next.
    virtual void drain() {}
};

/// An application. It is asked for a worker on each reactor's own thread, several at a time.
class Application {
  public:
    Application() = default;
    Application(const Application&) = delete;
    Application& operator=(const Application&) = delete;
    virtual ~Application() = default;

    virtual std::unique_ptr<Worker> make_worker(Reactor& reactor) = 0;
};

/// What to do with one connection, where nothing is shared between connections: see Worker::serve.
using Handler = std::function<task<void>(Stream&)>;

/// The application that runs `handler` for every connection. It is called on all reactors' threads.
std::unique_ptr<Application> make_application(Handler handler);

}  // namespace confab
