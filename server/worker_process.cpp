#include "server/worker_process.hpp"

#include <poll.h>
#include <pthread.h>
#include <spdlog/spdlog.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "coro/diagnostics.hpp"
#include "server/feed.hpp"
#include "server/host.hpp"

namespace confab {

namespace {

/// SIGTERM as something to read, since the thread that hears it has a socket to listen to as well.
class TerminationSignal {
  public:
    TerminationSignal() {
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        pthread_sigmask(SIG_BLOCK, &set, nullptr);
        descriptor_ = Fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
        if (!descriptor_) throw std::system_error(errno, std::generic_category(), "signalfd");
    }
    int descriptor() const { return descriptor_.get(); }

  private:
    Fd descriptor_;
};

/// Returns when the worker is to end. False: the supervisor has gone.
bool wait_for_the_end(const Fd& control, const TerminationSignal& terminated) {
    pollfd watched[] = {{.fd = control.get(), .events = POLLIN, .revents = 0},
                        {.fd = terminated.descriptor(), .events = POLLIN, .revents = 0}};
    while (true) {
        if (::poll(watched, std::size(watched), -1) < 0) continue;  // EINTR: there is no other reason
        if (watched[1].revents != 0) return true;
        char word = 0;
        const ssize_t heard = ::read(control.get(), &word, 1);
        if (heard == 0 || (heard < 0 && errno != EINTR && errno != EAGAIN)) return false;
        if (heard == 1 && word == static_cast<char>(Word::drain)) return true;
        if (heard == 1 && word == static_cast<char>(Word::trees)) print_task_trees();
    }
}

int run_until_told(Server& server, const WorkerOrders& orders, const Fd& control,
                   const TerminationSignal& terminated) {
    const char ready = static_cast<char>(Word::ready);
    if (::write(control.get(), &ready, 1) != 1) return EXIT_FAILURE;  // the supervisor has gone
    {
        const Watchdog watchdog;
        if (!wait_for_the_end(control, terminated)) return EXIT_FAILURE;
    }
    server.drain();
    server.join();
    orders.line.spent = server.ledger();
    return EXIT_SUCCESS;
}

template <class Start>
int serve_with(const WorkerOrders& orders, ConnectionSlots::Others others, const Fd& control, Start start) {
    try {
        const TerminationSignal terminated;
        const auto application = orders.make_application(orders.number());
        Server server(orders.options, *application, orders.callback_transform, std::move(others));
        start(server);
        return run_until_told(server, orders, control, terminated);
    } catch (const std::exception& failure) {
        const std::string reason = static_cast<char>(Word::failed) + std::string(failure.what());
        // If that fails the supervisor has gone, or takes the end of the process for an answer.
        (void)!::write(control.get(), reason.data(), reason.size());
        return EXIT_FAILURE;
    }
}

// Prints the task trees on the reactor's thread, since nobody may lock in a signal handler.
class TreesJob : public Job {
  public:
    TreesJob()
        : Job([](Job& job) noexcept {
              static_cast<TreesJob&>(job).posted_ = false;
              print_task_trees();
          }) {}
    void post_to(Host& host) {
        if (!posted_.exchange(true)) host.post(*this);
    }

  private:
    std::atomic<bool> posted_{false};
};

// Signals to a process that serves one connection on its only thread: they post to its reactor, which takes
// atomic operations and system calls that may interrupt anything (signal-safety(7)). SIGTERM drains, SIGUSR1
// asks for the trees.
class ConnectionSignals {
  public:
    /// `host` can be drained and posted to, until this dies.
    explicit ConnectionSignals(Host& host) {
        host_ = &host;
        struct sigaction action{};
        action.sa_handler = &handle;  // without SA_RESTART: it ends a blocking call
        for (const int signal : {SIGTERM, SIGUSR1}) sigaction(signal, &action, nullptr);
        mask(SIG_UNBLOCK);
    }
    ConnectionSignals(const ConnectionSignals&) = delete;
    ConnectionSignals& operator=(const ConnectionSignals&) = delete;
    ~ConnectionSignals() { mask(SIG_BLOCK); }

  private:
    static void mask(int how) {
        sigset_t set;
        sigemptyset(&set);
        for (const int signal : {SIGTERM, SIGUSR1}) sigaddset(&set, signal);
        pthread_sigmask(how, &set, nullptr);
    }
    static void handle(int signal) {
        const int saved = errno;
        if (signal == SIGUSR1) trees_.post_to(*host_);
        if (signal == SIGTERM && !drained_.exchange(true)) host_->drain();
        errno = saved;
    }

    static inline Host* host_ = nullptr;
    static inline TreesJob trees_;
    static inline std::atomic<bool> drained_{false};
};

}  // namespace

int serve_as_worker(const WorkerOrders& orders, Listeners listeners, Fd control) {
    ConnectionSlots::Others others{.here = &orders.line.connections,
                                   .everywhere = [&orders] { return orders.scoreboard.connections(); }};
    return serve_with(orders, std::move(others), control,
                      [&](Server& server) { server.start(std::move(listeners)); });
}

int serve_as_worker(const WorkerOrders& orders, Fd feed, Fd control) {
    ConnectionSlots::Others others{.gone = [&feed] { feed::acknowledge(feed.get()); }};
    return serve_with(orders, std::move(others), control, [&](Server& server) { server.start(feed); });
}

int serve_one_connection(const WorkerOrders& orders, Fd connection) {
    try {
        const auto application = orders.make_application(orders.number());
        ServerContext context(orders.options, *application, {});
        const auto host = make_task_host(context.shared);
        std::optional<ConnectionSignals> signals;
        host->serve({.connection = std::move(connection)}, [&] { signals.emplace(*host); });
        signals.reset();
        orders.line.spent = context.ledger();
        return EXIT_SUCCESS;
    } catch (const std::exception& failure) {
        spdlog::error("a connection is refused: {}", failure.what());
        return EXIT_FAILURE;
    }
}

}  // namespace confab
