// Public: running a server as a program does.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include "server/application.hpp"
#include "server/identity.hpp"
#include "server/server.hpp"

namespace confab {

/// Makes an application. Where a strategy has several processes it is called in each, with a number that none
/// of the others has while it lives: small ones, below the bound on processes and connections.
using ApplicationMaker = std::function<std::unique_ptr<Application>(std::uint32_t process)>;

struct RunOptions {
    ServerOptions server{};
    std::string application_name{};          ///< for the line that says where the server listens
    Transform callback_transform = nullptr;  ///< see Server
    std::chrono::seconds drain_limit{10};
    /// How long a worker that ends again and again is waited with, at most, before the next one.
    std::chrono::milliseconds longest_restart_pause{30'000};
    /// What a worker that is replaced has for its connections before it drains: as long as a person who reads
    /// a page, not as one who chats.
    std::chrono::milliseconds retire_limit = std::chrono::seconds(30);
    /// What a program that SIGUSR2 has started may need to be ready.
    std::chrono::milliseconds upgrade_limit = std::chrono::seconds(30);
    /// A worker that was not well for so long is killed and replaced (docs/operations.md says what that is);
    /// 0: never.
    std::chrono::milliseconds worker_limit = std::chrono::seconds(30);
    /// A worker is replaced when it has served so many connections, or holds so much memory; 0: never. With
    /// jitter: some are, at three quarters of it.
    std::uint64_t recycle_after = 0;
    std::uint64_t recycle_memory = 0;
    /// Is told the number of a process that ended without having destroyed its application. Called where the
    /// processes are forked, which has others to look after: it must not wait.
    std::function<void(std::uint32_t process)> process_lost{};
    /// Has each thread that takes connections stay on one of the processors that this process may use, in
    /// turn; and with it the threads that it makes. The rest of a process that was forked stays on those of
    /// its own.
    bool cpu_affinity = false;
    /// Who serves: what the processes that do become before they make the application, and this one, where it
    /// serves itself, as soon as it listens and has written the pidfile. None: whoever this process is.
    std::optional<Identity> identity{};
    std::string pid_file{};     ///< where to write the number of this process meanwhile; empty: nowhere
    bool print_ledger = false;  ///< at the end, on stderr, as a line of JSON
};

/// Thrown when there are to be several processes and they cannot begin.
class no_workers : public std::runtime_error {
  public:
    /// What a program that ends for it should say.
    static constexpr int exit_status = 3;

    using std::runtime_error::runtime_error;
};

/// Runs a server, in this process or under it, as the strategy says. Says on stderr where it listens
/// ("listening on ADDR (strategy NAME, app NAME)", a line for each address), and serves until SIGTERM or
/// SIGINT; then drains, for `drain_limit` at most: after that, or at a second signal, what is left is cut
/// off. SIGUSR1 prints a table of the processes and the task trees, a loop that is held is reported
/// (coro/diagnostics.hpp). The other signals, and what it says to a service manager: docs/operations.md.
/// Listening sockets that a service manager passes are used instead of `server.listen`.
///
/// Throws std::runtime_error as Server::start does, no_workers as it says. Blocks these signals in the
/// calling thread and in all that it starts later: call it from the main thread before there are others,
/// since it may fork.
void run_server(const RunOptions& options, const ApplicationMaker& make_application);

/// The shortest way to a server: runs `handler` for every connection to `address` under the named strategy
/// until SIGTERM or SIGINT. The exit status for main: 0, or, after a line on stderr that says what failed, 3
/// for no_workers and 1 for anything else.
int serve(Handler handler, const std::string& address, const std::string& strategy = "percore");

}  // namespace confab
