#include "server/run_server.hpp"

#include <poll.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "coro/diagnostics.hpp"
#include "server/listeners.hpp"
#include "server/processors.hpp"
#include "server/scoreboard.hpp"
#include "server/service_manager.hpp"
#include "server/signals.hpp"
#include "server/succession.hpp"
#include "server/supervisor.hpp"
#include "server/worker_process.hpp"
#include "server/worker_table.hpp"

namespace confab {

namespace {

/// A server in this process. The thread that runs it hears the signals while others serve.
class OneProcess {
  public:
    /// `manager` and `succession` outlive this.
    OneProcess(const RunOptions& options, const ApplicationMaker& make_application, ServiceManager& manager,
               Succession& succession)
        : options_(options),
          manager_(manager),
          succession_(succession),
          line_(scoreboard_.take()),
          listeners_(Server::open_listeners(options.server)),
          application_(make_own(make_application)),
          server_(options.server, *application_, options.callback_transform,
                  {.here = &line_.connections, .served = &line_.served}) {
        line_.since = Clock::now().time_since_epoch().count();
        line_.pid = ::getpid();
    }

    /// Serves until it has been drained.
    void run() {
        server_.start(std::move(listeners_));
        line_.state = WorkerLine::State::ready;
        // What a predecessor of several processes had accepted and given to none has nowhere to go here.
        succession_.take_over();
        say_where_it_listens(server_.addresses(), options_.server.strategy.name, options_.application_name);
        manager_.say_ready();
        const Watchdog watchdog;
        while (!wait_for_the_end()) {
            while (const auto asked = signals_.next()) hear(*asked);
            if (is_well()) manager_.beat();
            if (Clock::now() >= drain_until_) cut("the drain took too long (--drain-timeout)");
        }
    }

    Ledger spent() {
        server_.join();
        return server_.ledger();
    }

  private:
    using Clock = std::chrono::steady_clock;

    // The application is made by whoever is to serve, as in a process that was forked.
    std::unique_ptr<Application> make_own(const ApplicationMaker& make_application) const {
        if (options_.identity) become(*options_.identity);
        return make_application(0);
    }

    // Nobody tells when a reactor that was held goes on.
    static constexpr std::chrono::milliseconds look_again_after{100};

    // Waits until there is something to do; true: the end.
    bool wait_for_the_end() const {
        pollfd watched[] = {{.fd = signals_.descriptor(), .events = POLLIN, .revents = 0},
                            {.fd = server_.end_descriptor(), .events = POLLIN, .revents = 0}};
        if (::poll(watched, std::size(watched), milliseconds_left()) < 0 && errno != EINTR) {
            throw std::system_error(errno, std::generic_category(), "poll");
        }
        return watched[1].revents != 0;
    }

    // A reactor that is held for as long as the service manager waits is for it to see to.
    bool is_well() const {
        if (!manager_.patience()) return true;
        const std::optional<Stall> stall = longest_stall();
        return !stall || stall->held < *manager_.patience();
    }

    // For poll(2): -1 is for ever.
    int milliseconds_left() const {
        const Clock::time_point due =
            std::min(drain_until_, is_well() ? manager_.next_due() : Clock::now() + look_again_after);
        if (due == Clock::time_point::max()) return -1;
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(due - Clock::now());
        return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 60'000));
    }

    void hear(Asked asked) {
        switch (asked) {
            case Asked::to_end:
                return draining_ ? cut("a second signal") : drain();
            case Asked::to_quit:
                return quit();
            case Asked::to_report:
                return report();
            case Asked::to_upgrade:
                return spdlog::warn("SIGUSR2 is refused: with one process none could hold the listeners");
            case Asked::to_reload:
                return spdlog::warn("SIGHUP is refused: with one process there is none to replace it");
            case Asked::for_more:
            case Asked::for_fewer:
                return spdlog::warn("SIGTTIN and SIGTTOU are refused: there is one process, and no other");
            case Asked::about_child:
                return;  // not ours: whoever started it waits for it
        }
    }

    void print_table() const {
        line_.receives = receives_so_far();
        const std::string table = worker_table(status_of(scoreboard_), options_.server.strategy.name);
        std::fwrite(table.data(), 1, table.size(), stderr);
    }

    void report() const {
        print_table();
        print_task_trees();
    }

    void quit() {
        print_table();
        print_task_trees_within(trees_limit);
        drain();  // which takes the files of Unix sockets away
        cut("SIGQUIT");
    }

    void drain() {
        draining_ = true;
        line_.state = WorkerLine::State::draining;
        drain_until_ = Clock::now() + options_.drain_limit;
        manager_.say_stopping();
        server_.drain();
    }

    [[noreturn]] void cut(const char* why) {
        succession_.remove_pid_file();
        std::fprintf(stderr, "confab: %s; what is left is cut\n", why);
        std::_Exit(EXIT_SUCCESS);
    }

    const RunOptions& options_;
    ServiceManager& manager_;
    Succession& succession_;
    Signals signals_;
    Scoreboard scoreboard_{1};
    WorkerLine& line_;
    Listeners listeners_;  // until it serves
    const std::unique_ptr<Application> application_;
    Server server_;
    Clock::time_point drain_until_ = Clock::time_point::max();
    bool draining_ = false;
};

}  // namespace

void run_server(const RunOptions& asked, const ApplicationMaker& make_application) {
    ServiceManager manager;
    Succession succession(asked.pid_file);
    RunOptions options = asked;
    options.server.inherited = succession.has_predecessor() ? succession.listeners() : manager.listeners();
    options.server.inherits_files = succession.owns_files();
    const Strategy& strategy = options.server.strategy;
    Ledger spent;
    if (strategy.processes.several()) {
        Supervisor supervisor(options, make_application, manager, succession);
        supervisor.run();
        spent = supervisor.spent();
    } else {
        if (options.cpu_affinity)
            options.server.processors = processors_of(usable_processors(), 0, strategy.hosts());
        OneProcess process(options, make_application, manager, succession);
        process.run();
        spent = process.spent();
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
    } catch (const no_workers& failure) {
        std::fprintf(stderr, "%s\n", failure.what());
        return no_workers::exit_status;
    } catch (const std::exception& failure) {
        std::fprintf(stderr, "%s\n", failure.what());
        return EXIT_FAILURE;
    }
}

}  // namespace confab
