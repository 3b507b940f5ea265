#include "pools/processes/forking.hpp"

#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <system_error>
#include <utility>

#include "pools/exception_text.hpp"
#include "pools/poll_until.hpp"
#include "pools/processes/children.hpp"
#include "pools/processes/proc_stat.hpp"
#include "pools/signals_blocked.hpp"

namespace confab::processes {

namespace {

// What this process is. Written before it has a second thread, and never destroyed.
struct Self {
    std::string name = "main";
    bool daemon = false;
    std::optional<parent_process> parent;
    std::atomic<unsigned> children_named = 0;
};

Self& self() {
    static Self* const made = new Self;
    return *made;
}

// What is in the buffers now would be written by parent and child both. A stream that is closed has nothing
// to lose.
void flush_standard_streams() noexcept {
    for (std::ostream* const stream : {&std::cout, &std::cerr, &std::clog}) {
        try {
            stream->flush();
        } catch (const std::ios_base::failure&) {  // its owner asked for exceptions; this is not for him
        }
    }
    std::fflush(nullptr);
}

// A handler was written for the parent: it may, for instance, write to a descriptor that both now have.
// Handlers of faults only report what went wrong, and so stay.
void drop_handlers() {
    constexpr std::array faults{SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS};
    for (int number = 1; number <= SIGRTMAX; ++number) {
        struct sigaction action{};
        if (std::ranges::find(faults, number) != faults.end()) continue;
        if (::sigaction(number, nullptr, &action) != 0) continue;  // one of the C library's own
        if (action.sa_handler == SIG_DFL || action.sa_handler == SIG_IGN) continue;
        action = {};
        action.sa_handler = SIG_DFL;
        ::sigaction(number, &action, nullptr);
    }
}

void let_signals_in() {
    sigset_t none;
    sigemptyset(&none);
    pthread_sigmask(SIG_SETMASK, &none, nullptr);
}

// The first exit hook the child sets, so the last of its own to run; those of its parent come after it, and
// never do.
void leave(int status, void*) {
    flush_standard_streams();
    Children::of_this_process().finish();
    ::_exit(status);
}

int run(ProcessBody& body, const std::stop_token& stop) {
    try {
        return body.run(stop);
    } catch (...) {
        const ExceptionText text = current_exception_text();
        std::fprintf(stderr, "process %s (%d): nobody caught %s%s%s\n", self().name.c_str(), ::getpid(),
                     text.type.c_str(), text.what.empty() ? "" : ": ", text.what.c_str());
        return EXIT_FAILURE;
    }
}

// Signals are blocked until it is settled what they mean, and arrive then.
[[noreturn]] void live(ChildPlan& plan, ProcessBody& body, Fd gate, pid_t forker) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != forker) ::_exit(EXIT_FAILURE);  // it died before the line above
    std::uint64_t opened = 0;
    while (::read(gate.get(), &opened, sizeof opened) < 0 && errno == EINTR) {
    }
    gate = Fd();
    drop_handlers();

    self().name = std::move(plan.name);
    self().daemon = plan.daemon;
    self().parent.emplace(plan.parent.pid, std::move(plan.parent.name), std::move(plan.parent_sentinel));
    self().children_named = 0;
    ::prctl(PR_SET_NAME, self().name.c_str());
    if (::on_exit(&leave, nullptr) != 0) ::_exit(EXIT_FAILURE);

    std::stop_source stop(std::nostopstate);
    if (body.takes_stop()) {
        stop = std::stop_source();
        Children::of_this_process().serve_stop(stop);
        Children::of_this_process().work();
    }
    if (plan.when_orphaned == orphan::told) {
        ::prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (::getppid() != forker) ::kill(::getpid(), SIGTERM);
    }
    let_signals_in();
    const int code = run(body, stop.get_token());
    Children::of_this_process().rest();  // there is nobody left to interrupt
    std::exit(code);
}

// A thread that has left its function is still listed for a moment, with this flag of the kernel's
// (PF_EXITING, see flags in proc_pid_stat(5)); it holds no lock any more. False, too, for one that is gone
// already.
bool is_running(const std::filesystem::path& thread) {
    constexpr std::uint64_t exiting = 4;
    const ProcStat stat = read_proc_stat((thread / "stat").c_str());
    return stat.error == 0 && (stat.flags & exiting) == 0;
}

// The thread sanitizer has a thread of its own, and sees to it that forks are safe from it.
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CONFAB_THREAD_SANITIZER 1
#endif
#endif
#ifdef CONFAB_THREAD_SANITIZER
constexpr int foreign_threads = 1;
#else
constexpr int foreign_threads = 0;
#endif

}  // namespace

ForkedChild::ForkedChild(ChildPlan& plan, ProcessBody& body)
    : gate_(above_standard_streams(Fd(::eventfd(0, EFD_CLOEXEC)))) {
    if (!gate_) throw std::system_error(errno, std::system_category(), "eventfd");
    flush_standard_streams();
    const pid_t forker = ::getpid();
    int error = 0;
    {
        const SignalsBlocked quiet;
        pid_ = ::fork();
        if (pid_ == 0) live(plan, body, std::move(gate_), forker);
        error = errno;
    }
    if (pid_ < 0) throw std::system_error(error, std::system_category(), "fork");
    try {
        pidfd_ = open_pidfd(pid_);
    } catch (...) {
        take_along();
        throw;
    }
}

ForkedChild::~ForkedChild() {
    if (gate_) take_along();
}

// It waits at the gate, so its number is its own.
void ForkedChild::take_along() noexcept {
    ::kill(pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
}

void ForkedChild::let_live() noexcept {
    const std::uint64_t one = 1;
    while (::write(gate_.get(), &one, sizeof one) < 0 && errno == EINTR) {
    }
    gate_ = Fd();
}

void require_single_thread() {
    if (::gettid() != ::getpid()) {
        throw std::logic_error(
            "only the main thread forks: a child dies with the thread that forked it; start it through a "
            "launcher");
    }
    int running = 0;
    for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task")) {
        if (is_running(thread.path())) ++running;
    }
    if (running > 1 + foreign_threads) {
        throw std::logic_error(
            "a program with " + std::to_string(running) +
            " threads cannot fork: locks that another thread holds would stay locked in the child; "
            "make a launcher before the first thread, and start processes through it");
    }
}

Fd open_pidfd(pid_t pid) {
    Fd fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    if (!fd) throw std::system_error(errno, std::system_category(), "pidfd_open");
    return above_standard_streams(std::move(fd));
}

std::string next_child_name() {
    const std::string number = std::to_string(++self().children_named);
    return self().parent ? self().name + ":" + number : "process-" + number;
}

process_info current() { return {.pid = ::getpid(), .name = self().name, .daemon = self().daemon}; }

const parent_process* parent() { return self().parent ? &*self().parent : nullptr; }

bool parent_process::join_until(Instant deadline) const { return readable_until(sentinel_.get(), deadline); }

}  // namespace confab::processes
