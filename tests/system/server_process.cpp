#include "tests/system/server_process.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <system_error>
#include <utility>

#include "tests/system/failure.hpp"
#include "tests/system/patience.hpp"

extern char** environ;

namespace confab::system_tests {
namespace {

std::system_error system_failure(const char* what) { return {errno, std::generic_category(), what}; }

std::vector<char*> pointers_to(std::vector<std::string>& strings) {
    std::vector<char*> pointers;
    for (std::string& string : strings) pointers.push_back(string.data());
    pointers.push_back(nullptr);
    return pointers;
}

std::vector<std::string> environment_without_ours() {
    std::vector<std::string> kept;
    for (char** entry = environ; *entry != nullptr; ++entry) {
        if (!std::string_view(*entry).starts_with("CONFAB_")) kept.emplace_back(*entry);
    }
    return kept;
}

// In the child, between fork and exec: nothing here may allocate or lock.
[[noreturn]] void become(char* const* arguments, char* const* environment, int stderr_fd,
                         const rlimit* descriptor_limit, pid_t parent) {
    constexpr int cannot_start = 127;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(cannot_start);
    if (::dup2(stderr_fd, STDERR_FILENO) < 0) ::_exit(cannot_start);
    if (descriptor_limit != nullptr && ::setrlimit(RLIMIT_NOFILE, descriptor_limit) != 0)
        ::_exit(cannot_start);
    ::execve(arguments[0], arguments, environment);
    constexpr std::string_view complaint = "cannot start the program under test\n";
    [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, complaint.data(), complaint.size());
    ::_exit(cannot_start);
}

}  // namespace

Child::Child(std::vector<std::string> arguments, std::optional<rlim_t> descriptor_limit) {
    std::array<int, 2> pipe{};
    if (::pipe2(pipe.data(), O_CLOEXEC) != 0) throw system_failure("pipe2");
    stderr_ = UniqueFd(pipe[0]);
    UniqueFd childs_end(pipe[1]);

    arguments.insert(arguments.begin(), program_under_test());
    std::vector<std::string> environment = environment_without_ours();
    // The leak sanitizer needs descriptors itself, and fails without.
    if (descriptor_limit) environment.emplace_back("LSAN_OPTIONS=detect_leaks=0");
    const std::vector<char*> argument_pointers = pointers_to(arguments);
    const std::vector<char*> environment_pointers = pointers_to(environment);
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) throw system_failure("getrlimit");
    // Both limits: a program may raise the soft one.
    if (descriptor_limit) limit = {.rlim_cur = *descriptor_limit, .rlim_max = *descriptor_limit};

    const pid_t parent = ::getpid();
    pid_ = ::fork();
    if (pid_ < 0) throw system_failure("fork");
    if (pid_ == 0) {
        become(argument_pointers.data(), environment_pointers.data(), childs_end.get(),
               descriptor_limit ? &limit : nullptr, parent);
    }
    // The child is ours and not waited for, so its number cannot have become another's.
    handle_ = UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
    if (!handle_.is_open()) throw system_failure("pidfd_open");
    reader_ = std::thread([this] { read_stderr(); });
}

Child::~Child() {
    if (!exit_) {
        ::syscall(SYS_pidfd_send_signal, handle_.get(), SIGKILL, nullptr, 0);
        siginfo_t ended{};
        while (::waitid(P_PID, static_cast<id_t>(pid_), &ended, WEXITED) != 0 && errno == EINTR) {
        }
    }
    reader_.join();
    if (test_case_has_failed()) print_said();
}

void Child::read_stderr() {
    std::string unfinished;
    std::array<char, 4096> chunk{};
    for (;;) {
        const ssize_t count = ::read(stderr_.get(), chunk.data(), chunk.size());
        if (count < 0 && errno == EINTR) continue;
        const std::scoped_lock lock(mutex_);
        if (count <= 0) {
            if (!unfinished.empty()) lines_.push_back(std::move(unfinished));
            is_silent_ = true;
            said_more_.notify_all();
            return;
        }
        unfinished.append(chunk.data(), static_cast<std::size_t>(count));
        for (std::size_t end = unfinished.find('\n'); end != std::string::npos; end = unfinished.find('\n')) {
            lines_.push_back(unfinished.substr(0, end));
            unfinished.erase(0, end + 1);
        }
        said_more_.notify_all();
    }
}

void Child::print_said() {
    const std::scoped_lock lock(mutex_);
    std::printf("--- what process %d (strategy %s) said on stderr:\n", pid_,
                strategy_under_test().name.c_str());
    for (const std::string& line : lines_) std::printf("    %s\n", line.c_str());
}

void Child::signal(int number) {
    if (::syscall(SYS_pidfd_send_signal, handle_.get(), number, nullptr, 0) != 0) {
        throw system_failure("pidfd_send_signal");
    }
}

bool Child::has_ended_within(std::chrono::milliseconds moment) {
    return wait_for(handle_.get(), POLLIN, Deadline(moment));
}

Exit Child::wait_for_exit(std::source_location where) {
    if (exit_) return *exit_;
    const bool has_ended = wait_for(handle_.get(), POLLIN, Deadline());
    if (!has_ended) signal(SIGKILL);
    siginfo_t ended{};
    while (::waitid(P_PID, static_cast<id_t>(pid_), &ended, WEXITED) != 0) {
        if (errno != EINTR) throw system_failure("waitid");
    }
    exit_ = Exit{.by_signal = ended.si_code != CLD_EXITED, .code = ended.si_status};
    std::unique_lock lock(mutex_);
    said_more_.wait_until(lock, Deadline().end(), [this] { return is_silent_; });
    if (!has_ended) fail("the process did not end, and was killed", where);
    return *exit_;
}

std::vector<std::string> Child::said() {
    const std::scoped_lock lock(mutex_);
    return lines_;
}

Child::Hearing Child::hear(const std::function<bool(const std::string&)>& accepts) {
    const Deadline deadline;
    std::unique_lock lock(mutex_);
    std::size_t read = 0;
    for (;;) {
        for (; read < lines_.size(); ++read) {
            if (accepts(lines_[read])) return {.heard = Heard::line, .line = lines_[read]};
        }
        if (is_silent_) return {.heard = Heard::end, .line = {}};
        if (said_more_.wait_until(lock, deadline.end()) == std::cv_status::timeout) {
            return {.heard = Heard::nothing, .line = {}};
        }
    }
}

std::string Child::wait_for_said(const std::function<bool(const std::string&)>& accepts,
                                 const std::string& description, std::source_location where) {
    Hearing hearing = hear(accepts);
    if (hearing.heard == Heard::end) fail("the process closed stderr without saying: " + description, where);
    if (hearing.heard == Heard::nothing) fail("the process does not say: " + description, where);
    return std::move(hearing.line);
}

bool Child::says_before_it_ends(const std::string& start, std::source_location where) {
    const Hearing hearing = hear([&](const std::string& line) { return line.starts_with(start); });
    if (hearing.heard == Heard::nothing) fail("the process neither ends nor says: " + start, where);
    return hearing.heard == Heard::line;
}

std::vector<std::string> serve_arguments(const ServerOptions& options) {
    std::vector<std::string> arguments{"serve", "--app", options.app};
    for (const std::string& address : options.listen)
        arguments.insert(arguments.end(), {"--listen", address});
    const Strategy& strategy = options.strategy ? *options.strategy : strategy_under_test();
    arguments.insert(arguments.end(), strategy.flags.begin(), strategy.flags.end());
    arguments.insert(arguments.end(), options.flags.begin(), options.flags.end());
    return arguments;
}

ServerProcess::ServerProcess(ServerOptions options, std::source_location where)
    : child_(serve_arguments(options), options.descriptor_limit) {
    constexpr std::string_view start = "listening on ";
    for (std::size_t listener = 0; listener < options.listen.size(); ++listener) {
        std::size_t skip = listener;  // the lines of the listeners before this one
        const std::string line = child_.wait_for_said(
            [&](const std::string& said) { return said.starts_with(start) && skip-- == 0; },
            "listening on ADDR (strategy NAME, app NAME)", where);
        const std::size_t end = line.find(' ', start.size());
        if (end == std::string::npos) fail("not the contract's line: " + line, where);
        addresses_.push_back(line.substr(start.size(), end - start.size()));
        const std::string& name =
            (options.strategy ? *options.strategy : strategy_under_test()).reported_name;
        CHECK(line.substr(end) == " (strategy " + name + ", app " + options.app + ")");
    }
}

void ServerProcess::stop(std::source_location where) {
    child_.signal(SIGTERM);
    const Exit exit = child_.wait_for_exit(where);
    if (exit != Exit{}) {
        fail(std::string("after SIGTERM the server ended by ") + (exit.by_signal ? "signal " : "exit code ") +
                 std::to_string(exit.code) + ", not with exit code 0",
             where);
    }
}

}  // namespace confab::system_tests
