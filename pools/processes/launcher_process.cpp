// The launcher's side: one thread, one loop, as little state as can be. It is a subreaper: what its processes
// leave behind becomes its child, so that nothing can get away from it but by its own death.
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <unordered_map>
#include <utility>
#include <vector>

#include "pools/poll_until.hpp"
#include "pools/processes/forking.hpp"
#include "pools/processes/launch_messages.hpp"
#include "pools/processes/proc_stat.hpp"
#include "pools/wait_any.hpp"

namespace confab::processes {

namespace {

class LauncherProcess {
  public:
    explicit LauncherProcess(connection& program);

    void serve();
    /// In a child: closes what is the launcher's.
    void leave_to_parent() {
        program_.close();
        signals_ = Fd();
    }

  private:
    struct Launched {
        std::uint64_t id;
        orphan when_orphaned;
    };

    bool take_signals();
    bool take_request();
    void launch(LaunchRequest& request, std::vector<Fd> descriptors);
    bool reap(int options);
    void reply(const LaunchReply& reply, std::span<const int> descriptors = {});
    void end_all();
    void kill_children() const;

    connection& program_;
    Fd signals_;
    std::unordered_map<pid_t, Launched> launched_;
};

class LaunchedBody final : public ProcessBody {
  public:
    LaunchedBody(LauncherProcess& launcher, LaunchRequest& request, std::vector<Fd> descriptors)
        : launcher_(launcher),
          entry_(*reinterpret_cast<const LaunchEntry*>(request.entry)),
          arguments_(std::move(request.arguments)),
          descriptors_(std::move(descriptors)) {}

    int run(const std::stop_token& stop) override {
        launcher_.leave_to_parent();
        byte_reader archive(arguments_, descriptors_);
        return entry_.run(archive, stop);
    }
    bool takes_stop() const override { return entry_.takes_stop; }

  private:
    LauncherProcess& launcher_;
    const LaunchEntry& entry_;
    std::vector<std::byte> arguments_;
    std::vector<Fd> descriptors_;
};

// All signals wait: those that matter to be read, and a terminal's for ever, since the program decides.
Fd take_signals_by_descriptor() {
    sigset_t signals;
    sigfillset(&signals);
    ::pthread_sigmask(SIG_SETMASK, &signals, nullptr);
    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    sigaddset(&signals, SIGTERM);
    Fd fd(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!fd) throw std::system_error(errno, std::system_category(), "signalfd");
    return above_standard_streams(std::move(fd));
}

bool is_among(const std::vector<std::size_t>& places, std::size_t place) {
    return std::ranges::find(places, place) != places.end();
}

LauncherProcess::LauncherProcess(connection& program)
    : program_(program), signals_(take_signals_by_descriptor()) {
    // It is to outlive the program for as long as it takes to see to the others.
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    ::prctl(PR_SET_PDEATHSIG, 0);
}

void LauncherProcess::serve() {
    // The program's death, by its pidfd: a copy of its end of the pipe may live on somewhere.
    bool goes_on = true;
    while (goes_on) {
        const auto ready = wait_any({*parent(), signals_, program_});
        if (ready.front() == 0) break;
        if (is_among(ready, 1)) goes_on = take_signals();
        while (reap(WNOHANG)) {
        }
        if (goes_on && is_among(ready, 2)) goes_on = take_request();
    }
    end_all();
}

// False: SIGTERM.
bool LauncherProcess::take_signals() {
    bool goes_on = true;
    signalfd_siginfo info{};
    while (::read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
        if (info.ssi_signo == SIGTERM) goes_on = false;
    }
    return goes_on;
}

// False: the program has closed its end.
bool LauncherProcess::take_request() {
    auto received = program_.receive();
    if (!received) return false;
    auto request = from_bytes<LaunchRequest>(received->bytes);
    launch(request, std::move(received->descriptors));
    return true;
}

void LauncherProcess::launch(LaunchRequest& request, std::vector<Fd> descriptors) {
    LaunchReply answer{.kind = LaunchReply::Kind::started, .id = request.id};
    try {
        ChildPlan plan{
            .name = std::move(request.name),
            .daemon = request.daemon,
            .when_orphaned = request.when_orphaned,
            .parent = {.pid = parent()->pid(), .name = parent()->name(), .daemon = false},
            .parent_sentinel = Fd(::fcntl(parent()->sentinel(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1)),
        };
        LaunchedBody body(*this, request, std::move(descriptors));
        ForkedChild child(plan, body);
        const Fd pidfd = child.take_pidfd();
        launched_.emplace(child.pid(), Launched{.id = request.id, .when_orphaned = request.when_orphaned});
        child.let_live();
        answer.pid = child.pid();
        reply(answer, std::array{pidfd.get()});
    } catch (const std::system_error& error) {
        answer.kind = LaunchReply::Kind::refused;
        answer.error = error.code().value();
        reply(answer);
    }
}

// False: no child has ended, or, when waiting, there is none.
bool LauncherProcess::reap(int options) {
    siginfo_t ended{};
    while (::waitid(P_ALL, 0, &ended, WEXITED | options) != 0) {
        if (errno == ECHILD) return false;
        if (errno != EINTR) throw std::system_error(errno, std::system_category(), "waitid");
    }
    if (ended.si_pid == 0) return false;
    if (const auto known = launched_.extract(ended.si_pid)) {
        reply({.kind = LaunchReply::Kind::ended,
               .id = known.mapped().id,
               .pid = ended.si_pid,
               .status = ended.si_code == CLD_EXITED ? exit_status::of_code(ended.si_status)
                                                     : exit_status::of_signal(ended.si_status)});
    }
    return true;
}

// A program that does not read any more is dead, or about to say so.
void LauncherProcess::reply(const LaunchReply& answer, std::span<const int> descriptors) {
    static_cast<void>(program_.send(std::as_bytes(std::span(&answer, 1)), descriptors));
}

// First those that want to be told; then all, and those that their ends make children of this process.
void LauncherProcess::end_all() {
    bool waits = false;
    for (const auto& [pid, launched] : launched_) {
        if (launched.when_orphaned != orphan::told) continue;
        ::kill(pid, SIGTERM);
        waits = true;
    }
    const auto is_told = [](const auto& entry) { return entry.second.when_orphaned == orphan::told; };
    const Instant deadline = after(Clock::now(), orphan_grace);
    for (const auto& [pid, launched] : launched_) {
        if (launched.when_orphaned != orphan::told) ::kill(pid, SIGKILL);
    }
    while (waits && std::ranges::any_of(launched_, is_told) && readable_until(signals_.get(), deadline)) {
        take_signals();
        while (reap(WNOHANG)) {
        }
    }
    do {
        kill_children();
        if (!reap(0)) return;
        while (reap(WNOHANG)) {
        }
    } while (true);
}

void LauncherProcess::kill_children() const {
    const pid_t self = ::getpid();
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
        const std::string name = entry.path().filename();
        if (!std::ranges::all_of(name, [](char c) { return c >= '0' && c <= '9'; })) continue;
        // It is not reaped, so nobody else can have its number.
        const ProcStat stat = read_proc_stat((entry.path() / "stat").c_str());
        if (stat.error == 0 && stat.parent == self) ::kill(std::stoi(name), SIGKILL);
    }
}

}  // namespace

int run_launcher(connection& program) {
    LauncherProcess(program).serve();
    return 0;
}

}  // namespace confab::processes
