#include "server/worker_process.hpp"

#include <poll.h>
#include <pthread.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "coro/diagnostics.hpp"
#include "coro/task_tree.hpp"
#include "server/bequest.hpp"
#include "server/feed.hpp"
#include "server/host.hpp"
#include "server/processors.hpp"

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

// What is left to a worker's first thread while others serve: it hears the supervisor, beats, and sees to the
// end.
class WorkerMain {
  public:
    WorkerMain(Server& server, WorkerOrders& orders, const Fd& control)
        : server_(server),
          orders_(orders),
          control_(control),
          bequest_(std::move(orders.heirs_end),
                   [&server](const std::string& state) { server.application().lost(state); }),
          inheritance_(std::move(orders.inheritance)),
          interval_(beat_interval(orders.worker_limit)) {}

    /// Returns when the server has ended.
    void run(const TerminationSignal& terminated) {
        say(Word::ready, "");
        while (true) {
            pollfd watched[] = {
                {.fd = control_.get(), .events = POLLIN, .revents = 0},
                {.fd = drained_ ? -1 : terminated.descriptor(), .events = POLLIN, .revents = 0},
                {.fd = server_.end_descriptor(), .events = POLLIN, .revents = 0},
                {.fd = inheritance_.descriptor(), .events = POLLIN, .revents = 0},
                {.fd = bequest_.descriptor(), .events = POLLIN, .revents = 0}};
            const auto timeout = interval_.count() == 0 ? count_every : interval_;
            if (::poll(watched, std::size(watched), static_cast<int>(timeout.count())) < 0)
                continue;  // EINTR: there is no other reason
            orders_.line.receives = receives_so_far();
            if (watched[2].revents != 0) return;
            if (watched[1].revents != 0) drain();
            if (watched[0].revents != 0) hear();
            if (watched[3].revents != 0) inherit();
            if (watched[4].revents != 0) bequest_.hear();
            beat();
        }
    }

  private:
    void hear() {
        char word = 0;
        const ssize_t heard = ::read(control_.get(), &word, 1);
        if (heard == 0 || (heard < 0 && errno != EINTR && errno != EAGAIN)) supervisor_has_gone();
        if (heard != 1) return;
        if (word == static_cast<char>(Word::retire)) server_.retire();
        if (word == static_cast<char>(Word::bequeath)) bequeath();
        if (word == static_cast<char>(Word::drain)) drain();
        if (word == static_cast<char>(Word::trees)) print_task_trees();
        if (word == static_cast<char>(Word::quit)) quit();
    }

    void say(Word word, const std::string& text) {
        const std::string whole = static_cast<char>(word) + text;
        if (::send(control_.get(), whole.data(), whole.size(), MSG_NOSIGNAL) < 0 && errno != EAGAIN) {
            supervisor_has_gone();
        }
    }

    [[noreturn]] static void quit() {
        print_task_trees_within(trees_limit);
        std::_Exit(EXIT_SUCCESS);
    }

    [[noreturn]] static void supervisor_has_gone() { std::_Exit(EXIT_FAILURE); }

    // It beats as long as no reactor is held for too long. Twice in a row, since one who was stopped and goes
    // on has had no time to let go yet.
    void beat() {
        if (interval_.count() == 0) return;
        const std::optional<Stall> stall = longest_stall();
        const bool held = stall && stall->held >= orders_.worker_limit;
        if (held && held_before_) say(Word::hangs, stall->text());
        held_before_ = held;
        if (!held) orders_.line.beats.fetch_add(1, std::memory_order_relaxed);
    }

    // What a predecessor is still giving away comes first: it does not take long.
    void bequeath() {
        to_bequeath_ = !inheritance_.is_over();
        if (to_bequeath_) return;
        if (!server_.application().travels()) return server_.retire();
        server_.retire([this](Traveller traveller, Answer answer) {
            bequest_.send(std::move(traveller), std::move(answer));
        });
    }

    void inherit() {
        if (auto traveller = inheritance_.receive()) server_.adopt(std::move(*traveller));
        if (to_bequeath_) bequeath();
    }

    void drain() {
        drained_ = true;
        server_.drain();
    }

    Server& server_;
    const WorkerOrders& orders_;
    const Fd& control_;
    Bequest bequest_;
    Inheritance inheritance_;
    const std::chrono::milliseconds interval_;
    const Watchdog watchdog_;
    bool held_before_ = false;
    bool to_bequeath_ = false;
    bool drained_ = false;
};

// Before anything else is made, so that nothing of the application's runs as root.
void take_identity(const WorkerOrders& orders) {
    if (!orders.identity) return;
    become(*orders.identity);
    end_with(orders.supervisor);  // which the kernel has just forgotten
}

template <class Start>
int serve_with(WorkerOrders& orders, ConnectionSlots::Others others, const Fd& control, Start start) {
    try {
        take_identity(orders);
        ServerOptions options = orders.options;
        options.processors = orders.processors;
        // What does not serve, too; and if it cannot, it is said by those that do.
        if (!options.processors.empty()) stay_on(options.processors);
        const TerminationSignal terminated;
        const auto application = orders.make_application(orders.number());
        Server server(options, *application, orders.callback_transform, std::move(others));
        start(server);
        WorkerMain(server, orders, control).run(terminated);
        server.join();
        orders.line.spent = server.ledger();
        return EXIT_SUCCESS;
    } catch (const std::exception& failure) {
        const std::string reason = static_cast<char>(Word::failed) + std::string(failure.what());
        // If that fails the supervisor has gone, or takes the end of the process for an answer.
        (void)!::send(control.get(), reason.data(), reason.size(), MSG_NOSIGNAL);
        return EXIT_FAILURE;
    }
}

// Prints the task trees on the reactor's thread, since nobody may lock in a signal handler.
class TreesJob : public Job {
  public:
    TreesJob()
        : Job([](Job& job) noexcept {
              auto& self = static_cast<TreesJob&>(job);
              self.posted_ = false;
              if (!self.quits_) return print_task_trees();
              std::fprintf(stderr, "process %d\n%s", ::getpid(), task_tree().c_str());
              std::_Exit(EXIT_SUCCESS);
          }) {}
    void post_to(Host& host) {
        if (!posted_.exchange(true)) host.post(*this);
    }
    /// The next time it is the last thing that happens.
    void quit() { quits_ = true; }

  private:
    std::atomic<bool> posted_{false};
    std::atomic<bool> quits_{false};
};

// Signals to a process that serves one connection on its only thread: they post to its reactor, which takes
// atomic operations and system calls that may interrupt anything (signal-safety(7)). SIGTERM drains, SIGUSR1
// asks for the trees, SIGQUIT for the trees and the end.
class ConnectionSignals {
  public:
    /// `host` can be drained and posted to, until this dies.
    explicit ConnectionSignals(Host& host) {
        host_ = &host;
        struct sigaction action{};
        action.sa_handler = &handle;  // without SA_RESTART: it ends a blocking call
        for (const int signal : heard) sigaction(signal, &action, nullptr);
        mask(SIG_UNBLOCK);
    }
    ConnectionSignals(const ConnectionSignals&) = delete;
    ConnectionSignals& operator=(const ConnectionSignals&) = delete;
    ~ConnectionSignals() { mask(SIG_BLOCK); }

  private:
    static constexpr std::array heard{SIGTERM, SIGUSR1, SIGQUIT};

    static void mask(int how) {
        sigset_t set;
        sigemptyset(&set);
        for (const int signal : heard) sigaddset(&set, signal);
        pthread_sigmask(how, &set, nullptr);
    }
    static void handle(int signal) {
        const int saved = errno;
        if (signal == SIGQUIT) trees_.quit();
        if (signal != SIGTERM) trees_.post_to(*host_);
        if (signal == SIGTERM && !drained_.exchange(true)) host_->drain();
        errno = saved;
    }

    static inline Host* host_ = nullptr;
    static inline TreesJob trees_;
    static inline std::atomic<bool> drained_{false};
};

}  // namespace

void end_with(pid_t parent) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) std::_Exit(EXIT_FAILURE);  // it has ended before the kernel was asked
}

int serve_as_worker(WorkerOrders orders, Listeners listeners, Fd control) {
    listeners.leave_files();
    ConnectionSlots::Others others{
        .here = &orders.line.connections,
        .served = &orders.line.served,
        .everywhere = [&orders] { return orders.scoreboard.connections(); },
        .has_share = [&orders] { return orders.scoreboard.has_share(orders.line); },
        .served_everywhere = [&orders] { return orders.scoreboard.served(); }};
    return serve_with(orders, std::move(others), control,
                      [&](Server& server) { server.start(std::move(listeners)); });
}

int serve_as_worker(WorkerOrders orders, Fd feed, Fd control) {
    ConnectionSlots::Others others{.served = &orders.line.served,
                                   .gone = [&feed] { feed::acknowledge(feed.get()); },
                                   .came = [&feed] { feed::announce(feed.get()); }};
    return serve_with(orders, std::move(others), control, [&](Server& server) { server.start(feed); });
}

int serve_one_connection(const WorkerOrders& orders, Fd connection) {
    try {
        take_identity(orders);
        const auto application = orders.make_application(orders.number());
        ServerContext context(orders.options, *application, {}, &orders.line.pulse);
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
