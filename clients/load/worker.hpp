// Internal to clients: one thread's share of a load, from the first connection to the last answer.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "clients/load/bystanders.hpp"
#include "clients/load/driver.hpp"
#include "clients/load/options.hpp"
#include "clients/load/pattern.hpp"
#include "clients/load/result.hpp"
#include "clients/load/worker_share.hpp"

namespace confab::load {

/// Runs its share on one reactor. Made, used and destroyed on that reactor's thread, but for `post_*`.
class Worker {
  public:
    /// Whom a worker tells how far it is; called on its thread.
    class Listener {
      public:
        virtual void connected(Worker& worker) = 0;
        virtual void measured(Block block) = 0;

      protected:
        ~Listener() = default;
    };

    /// `options`, `pattern`, `listener` and `network` (null: the kernel's) outlive it.
    Worker(Reactor& reactor, const LoadOptions& options, WorkShare share, const Endpoint& server,
           const Pattern& pattern, Listener& listener, SimulatedNetwork* network = nullptr);
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;
    ~Worker();

    /// Makes the connections, tells the listener, waits for `go`, sends, measures, waits for what is under
    /// way, closes. Gives what this worker found; `go` and `finish` may be called in the meantime.
    task<LoadResult> run();

    /// The warm-up begins at `start`.
    void go(Instant start);
    /// Ends the load now, as if its time were over.
    void finish();
    void change_rate(double rate) { injector_.change_rate(rate); }

    Reactor& reactor() { return reactor_; }

  private:
    // How often a worker looks whether it gets to run in time.
    static constexpr Duration hiccup_interval = std::chrono::milliseconds(10);

    // A moment at which everything is read at once, so that figures belong together.
    struct Reading {
        Instant time;
        std::uint64_t messages;
        Duration cpu, server_cpu, stolen;
    };

    Reading read() const;
    bool is_over() const { return interrupted_ || driver_->settled().is_set() || traffic_.is_enough(); }
    task<void> watch_hiccups();
    task<void> all_present();
    task<void> all_connected();
    task<void> load_and_measure(LoadResult& result);
    task<void> settle();
    task<void> measure(LoadResult& result);
    task<void> drain(LoadResult& result);
    task<bool> lasts(Duration time);

    Reactor& reactor_;
    const LoadOptions& options_;
    const WorkShare share_;
    Listener& listener_;
    Dialer dialer_;
    Injector injector_;
    Traffic traffic_;
    const std::string requests_;  // of HTTP, as many as are sent at once
    std::unique_ptr<Driver> driver_;
    Bystanders bystanders_;
    PreciseTimer hiccup_timer_;
    Histogram hiccups_;
    event go_;
    event over_;
    Instant start_{};
    bool interrupted_ = false;
};

/// How long a block of a load is: a second, or a tenth of a short load.
Duration block_length(const LoadOptions& options);

}  // namespace confab::load
