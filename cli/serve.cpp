#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <thread>

#include "cli/commands.hpp"
#include "server/byte_apps.hpp"
#include "server/chat/chat_app.hpp"
#include "server/server.hpp"

namespace confab::cli {

namespace {

struct ServeOptions {
    std::string app = "chat";
    std::vector<std::string> listen{"127.0.0.1:8080"};
    std::string strategy_name;
    std::string threads;
    std::string waiting;
    std::string uring_features = "all";
    std::size_t connections = ServerLimits{}.connections;
    double first_byte_seconds = std::chrono::duration<double>(ServerLimits{}.first_byte).count();
    double idle_seconds = std::chrono::duration<double>(ServerLimits{}.idle).count();
    double send_seconds = std::chrono::duration<double>(ServerLimits{}.send).count();
    unsigned drain_seconds = 10;
    bool ledger = false;
};

// 0 is "no limit", as in the help.
Duration limit_from(double seconds) {
    if (seconds == 0) return no_limit;
    return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

struct AppChoice {
    std::unique_ptr<Application> application;
    Transform transform = nullptr;
};

AppChoice make_app(const ServeOptions& options) {
    if (options.app == "chat") return {.application = chat::make_chat_app({})};
    if (options.app == "echo") return {make_byte_app(leave_as_is), leave_as_is};
    return {make_byte_app(to_upper), to_upper};
}

Strategy strategy_from(const ServeOptions& options) {
    StrategyRequest request{.name = options.strategy_name};
    if (!options.threads.empty()) request.threads = options.threads;
    if (!options.waiting.empty()) request.waiting = options.waiting;
    auto strategy = make_strategy(request, std::max(1U, std::thread::hardware_concurrency()));
    if (!strategy) throw CLI::ValidationError(strategy.error());
    if (strategy->callbacks && options.app == "chat") {
        throw CLI::ValidationError("--strategy callback serves echo and upper only");
    }
    return *strategy;
}

// Every connection is a descriptor; the soft limit is a default for programs that use select(2).
void raise_descriptor_limit() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        spdlog::warn("the limit of open files stays at {}", limit.rlim_cur);
}

void log_to_stderr() {
    auto logger = spdlog::stderr_logger_mt("confab");
    logger->set_pattern("confab: %l: %v");
    spdlog::set_default_logger(std::move(logger));
}

/// The signals that a server hears. They are blocked in every thread and waited for by one: no handler runs,
/// so none can interrupt anything.
class Signals {
  public:
    Signals() {
        sigemptyset(&set_);
        for (const int signal : {SIGTERM, SIGINT}) sigaddset(&set_, signal);
        pthread_sigmask(SIG_BLOCK, &set_, nullptr);
    }
    void wait() const {
        int signal = 0;
        while (sigwait(&set_, &signal) != 0) {
        }
    }
    /// False: none came in time.
    bool wait_for(std::chrono::seconds limit) const {
        const timespec time{.tv_sec = limit.count(), .tv_nsec = 0};
        return sigtimedwait(&set_, nullptr, &time) > 0;
    }

  private:
    sigset_t set_{};
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
        pthread_kill(thread_.native_handle(), SIGTERM);  // blocked there, so it only ends the wait
    }

  private:
    std::atomic<bool> drained_ = false;
    std::jthread thread_;
};

void serve(const ServeOptions& options) {
    log_to_stderr();
    const Strategy strategy = strategy_from(options);
    const AppChoice app = make_app(options);
    raise_descriptor_limit();
    const Signals signals;
    Server server({.listen = options.listen,
                   .strategy = strategy,
                   .limits = {.connections = options.connections,
                              .first_byte = limit_from(options.first_byte_seconds),
                              .idle = limit_from(options.idle_seconds),
                              .send = limit_from(options.send_seconds)},
                   .uring_features = options.uring_features},
                  *app.application, app.transform);
    server.start();
    for (const Endpoint& address : server.addresses()) {
        std::fprintf(stderr, "listening on %s (strategy %s, app %s)\n", address.text().c_str(),
                     strategy.name.c_str(), options.app.c_str());
    }
    signals.wait();
    {
        const Impatience impatience(signals, std::chrono::seconds(options.drain_seconds));
        server.drain();
        server.join();
    }
    if (options.ledger) std::fprintf(stderr, "%s\n", server.ledger().json().c_str());
}

}  // namespace

void add_serve(CLI::App& program) {
    auto options = std::make_shared<ServeOptions>();
    CLI::App& command = *program.add_subcommand("serve", "Run a server");
    add_option(command, "--app", options->app, "What it serves")->check(CLI::IsMember({"echo", "upper"}));
    add_option(command, "--listen", options->listen,
               "host:port, [v6]:port or unix:PATH; repeatable; port 0: any free one")
        ->delimiter(',');
    add_option(command, "--strategy", options->strategy_name, "One of `confab strategies`; default percore");
    add_option(command, "--threads", options->threads,
               "Threads that serve: a number, or `each`: one per connection");
    add_option(command, "--waiting", options->waiting,
               "How they wait: blocking, busy, select, poll, epoll, uring");
    add_option(command, "--uring-features", options->uring_features,
               "io_uring features to use: all, none, or a list such as all,-incremental");
    add_option(command, "--max-connections", options->connections,
               "Connections served at once; more wait in the queue")
        ->check(CLI::Range(std::size_t{1}, std::size_t{100'000'000}));
    add_option(command, "--first-byte-timeout", options->first_byte_seconds,
               "Seconds until the first byte of a connection; 0: no limit")
        ->check(CLI::NonNegativeNumber);
    add_option(command, "--idle-timeout", options->idle_seconds,
               "Seconds a connection may be silent; 0: no limit")
        ->check(CLI::NonNegativeNumber);
    add_option(command, "--send-timeout", options->send_seconds,
               "Seconds a peer may take nothing of what it is owed; 0: no limit")
        ->check(CLI::NonNegativeNumber);
    add_option(command, "--drain-timeout", options->drain_seconds,
               "Seconds after SIGTERM until what is left is cut off");
    command.add_flag("--ledger", options->ledger,
                     "At the end, print what it all cost as a line of JSON on stderr");
    command.callback([options] { serve(*options); });
}

}  // namespace confab::cli
