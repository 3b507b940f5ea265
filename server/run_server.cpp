#include "server/run_server.hpp"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <thread>
#include <utility>

#include "coro/diagnostics.hpp"
#include "server/listeners.hpp"
#include "server/supervisor.hpp"

namespace confab {

namespace {

/// The signals that a server hears. They are blocked in every thread and waited for by one: no handler runs,
/// so none can interrupt anything.
class Signals {
  public:
    Signals() {
        sigemptyset(&ending_);
        for (const int signal : {SIGTERM, SIGINT}) sigaddset(&ending_, signal);
        all_ = ending_;
        sigaddset(&all_, SIGUSR1);
        pthread_sigmask(SIG_BLOCK, &all_, nullptr);
    }
    /// Waits for a signal to end. SIGUSR1 asks for the task trees meanwhile.
    void wait_for_the_end() const {
        int signal = 0;
        while (sigwait(&all_, &signal) != 0 || signal == SIGUSR1) {
            if (signal == SIGUSR1) print_task_trees();
        }
    }
    /// False: none came in time.
    bool wait_for(std::chrono::seconds limit) const {
        using std::chrono::steady_clock;
        const steady_clock::time_point end = steady_clock::now() + limit;
        while (true) {
            const auto left = std::max(end - steady_clock::now(), steady_clock::duration::zero());
            const auto seconds = std::chrono::floor<std::chrono::seconds>(left);
            const timespec time{.tv_sec = seconds.count(), .tv_nsec = (left - seconds).count()};
            if (sigtimedwait(&ending_, nullptr, &time) > 0) return true;
            if (errno != EINTR) return false;  // stopped and continued, for instance
        }
    }

  private:
    sigset_t ending_{};
    sigset_t all_{};
};

/// While it lives, a second signal, or a drain that takes longer than `limit`, ends the program at once.
class Impatience {
  public:
    Impatience(const Signals& signals, std::chrono::seconds limit)
        : thread_([this, &signals, limit] {
              const bool signalled = signals.wait_for(limit);
              if (drained_) return;
              std::fprintf(stderr, "confab: %s; what is left is cut\n",
                           signalled ? "a second signal" : "the drain took too long (--drain-timeout)");
              std::_Exit(0);
          }) {}
    Impatience(const Impatience&) = delete;
    Impatience& operator=(const Impatience&) = delete;
    ~Impatience() {
        drained_ = true;
        // Blocked there, so it only ends the wait.
        pthread_kill(thread_.native_handle(), SIGTERM);  // NOLINT(bugprone-bad-signal-to-kill-thread)
    }

  private:
    std::atomic<bool> drained_ = false;
    std::jthread thread_;
};

Ledger run_in_this_process(const RunOptions& options, const ApplicationMaker& make_application) {
    const Signals signals;
    const auto application = make_application(0);
    Server server(options.server, *application, options.callback_transform);
    server.start();
    say_where_it_listens(server.addresses(), options.server.strategy.name, options.application_name);
    const Watchdog watchdog;
    signals.wait_for_the_end();
    const Impatience impatience(signals, options.drain_limit);
    server.drain();
    server.join();
    return server.ledger();
}

}  // namespace

void run_server(const RunOptions& options, const ApplicationMaker& make_application) {
    Ledger spent;
    if (options.server.strategy.processes.several()) {
        Supervisor supervisor(options, make_application);
        supervisor.run();
        spent = supervisor.spent();
    } else {
        spent = run_in_this_process(options, make_application);
    }
    if (options.print_ledger) std::fprintf(stderr, "%s\n", spent.json().c_str());
}

int serve(Handler handler, const std::string& address, const std::string& strategy_name) {
    try {
        const auto strategy =
            make_strategy({.name = strategy_name}, std::max(1U, std::thread::hardware_concurrency()));
        if (!strategy) throw std::invalid_argument(strategy.error());
        run_server({.server = {.listen = {address}, .strategy = *strategy}, .application_name = "handler"},
                   [&handler](std::uint32_t) { return make_application(handler); });
        return EXIT_SUCCESS;
    } catch (const std::exception& failure) {
        std::fprintf(stderr, "%s\n", failure.what());
        return EXIT_FAILURE;
    }
}

}  // namespace confab
