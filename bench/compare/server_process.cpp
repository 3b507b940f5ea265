#include "bench/compare/server_process.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>
#include <string_view>
#include <system_error>

namespace confab::compare {

namespace {

constexpr Duration start_limit = std::chrono::seconds(20);
// More than the drain that it is told (see the runner).
constexpr Duration end_limit = std::chrono::seconds(20);
// On all of Linux's usual architectures.
constexpr std::uint64_t kernel_stack_bytes = 16 * 1024;

std::system_error failure(const char* what) { return {errno, std::generic_category(), what}; }

// Between fork and exec: nothing here may allocate or lock.
[[noreturn]] void become(char* const* arguments, char* const* environment, int errors, pid_t parent) {
    constexpr int cannot_start = 127;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(cannot_start);  // it ended before the kernel was asked
    ::setpgid(0, 0);
    sigset_t none;
    sigemptyset(&none);
    ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
    const int nothing = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    if (nothing < 0 || ::dup2(nothing, STDIN_FILENO) < 0 || ::dup2(nothing, STDOUT_FILENO) < 0 ||
        ::dup2(errors, STDERR_FILENO) < 0)
        ::_exit(cannot_start);
    ::execve(arguments[0], arguments, environment);
    ::_exit(cannot_start);
}

// Options that are set there are the comparison's, or would change what is compared.
std::vector<char*> environment_without_ours() {
    std::vector<char*> kept;
    for (char** entry = environ; *entry != nullptr; ++entry) {
        if (!std::string_view(*entry).starts_with("CONFAB_")) kept.push_back(*entry);
    }
    kept.push_back(nullptr);
    return kept;
}

std::string proc_path(pid_t process, const char* name) {
    return "/proc/" + std::to_string(process) + '/' + name;
}

// The number behind `name` in a file of lines such as "VmPTE:   60 kB"; 0 when there is none.
std::uint64_t field(const std::string& path, std::string_view name) {
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with(name)) return std::strtoull(line.c_str() + name.size(), nullptr, 10);
    }
    return 0;
}

// The numbers of its threads; none when it has just ended.
std::vector<std::string> tasks_of(pid_t process) {
    std::vector<std::string> tasks;
    DIR* const directory = ::opendir(proc_path(process, "task").c_str());
    if (directory == nullptr) return tasks;
    while (const dirent* const entry = ::readdir(directory)) {
        if (entry->d_name[0] != '.') tasks.emplace_back(entry->d_name);
    }
    ::closedir(directory);
    return tasks;
}

void add_descendants(pid_t process, std::vector<pid_t>& found) {
    found.push_back(process);
    for (const std::string& task : tasks_of(process)) {
        std::ifstream children(proc_path(process, "task/") + task + "/children");
        for (pid_t child = 0; children >> child;) add_descendants(child, found);
    }
}

Duration duration_of(const timeval& time) {
    return std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_usec);
}

}  // namespace

ServerProcess::ServerProcess(const std::vector<std::string>& arguments) {
    std::vector<std::string> copies = arguments;
    std::vector<char*> pointers;
    for (std::string& copy : copies) pointers.push_back(copy.data());
    pointers.push_back(nullptr);
    std::vector<char*> environment = environment_without_ours();
    std::array<int, 2> pipe{};
    if (::pipe2(pipe.data(), O_CLOEXEC) != 0) throw failure("pipe2");
    errors_ = Fd(pipe[0]);
    Fd childs_end(pipe[1]);
    const pid_t parent = ::getpid();
    pid_ = ::fork();
    if (pid_ < 0) throw failure("fork");
    if (pid_ == 0) become(pointers.data(), environment.data(), childs_end.get(), parent);
    childs_end = Fd();
    await_address();
}

ServerProcess::~ServerProcess() {
    if (pid_ == 0) return;
    ::kill(pid_, SIGKILL);
    reap();
}

// False: it has closed its end.
bool ServerProcess::read_more(Duration limit) {
    pollfd watched{.fd = errors_.get(), .events = POLLIN, .revents = 0};
    const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(limit).count();
    const int ready = ::poll(&watched, 1, static_cast<int>(std::max<std::int64_t>(milliseconds, 0)));
    if (ready < 0 && errno == EINTR) return true;
    if (ready < 0) throw failure("poll");
    if (ready == 0) throw std::runtime_error("it was silent for too long");
    std::array<char, 4096> piece{};
    const ssize_t size = ::read(errors_.get(), piece.data(), piece.size());
    if (size > 0) said_.append(piece.data(), static_cast<std::size_t>(size));
    return size > 0 || (size < 0 && errno == EINTR);
}

void ServerProcess::await_address() {
    constexpr std::string_view start = "listening on ";
    const auto end = std::chrono::steady_clock::now() + start_limit;
    while (true) {
        const std::size_t at = said_.find(start);
        const std::size_t after = at == std::string::npos ? at : said_.find(' ', at + start.size());
        if (after != std::string::npos) {
            address_ = said_.substr(at + start.size(), after - at - start.size());
            return;
        }
        bool more = false;
        try {
            more = read_more(end - std::chrono::steady_clock::now());
        } catch (...) {
            ::kill(pid_, SIGKILL);
            reap();
            throw;
        }
        if (more) continue;
        reap();
        const std::string line = last_line();
        throw std::runtime_error(line.empty() ? "it ended without a word" : line);
    }
}

std::string ServerProcess::last_line() const {
    std::istringstream lines(said_);
    std::string last;
    for (std::string line; std::getline(lines, line);) {
        if (!line.empty() && !line.starts_with('{')) last = line;
    }
    return last;
}

Memory ServerProcess::memory() const {
    std::vector<pid_t> processes;
    add_descendants(pid_, processes);
    Memory all;
    for (const pid_t process : processes) {
        all.proportional_bytes += field(proc_path(process, "smaps_rollup"), "Pss:") * 1024;
        const std::string status = proc_path(process, "status");
        all.kernel_bytes += field(status, "VmPTE:") * 1024 + field(status, "Threads:") * kernel_stack_bytes;
    }
    return all;
}

double ServerProcess::busiest_share() const {
    std::vector<pid_t> processes;
    add_descendants(pid_, processes);
    double all = 0, most = 0;
    for (const pid_t process : processes) {
        for (const std::string& task : tasks_of(process)) {
            std::ifstream file(proc_path(process, "task/") + task +
                               "/schedstat");  // proc(5): nanoseconds on a processor
            double time = 0;
            if (!(file >> time)) continue;
            all += time;
            most = std::max(most, time);
        }
    }
    return most / all;
}

Usage ServerProcess::end() {
    ::kill(pid_, SIGTERM);
    const auto deadline = std::chrono::steady_clock::now() + end_limit;
    std::string complaint;
    try {
        while (read_more(deadline - std::chrono::steady_clock::now())) {
        }
    } catch (const std::runtime_error& /*silent*/) {
        complaint = "it did not end when it was asked to, and was killed";
        ::kill(pid_, SIGKILL);
    }
    Usage usage = reap();
    if (!complaint.empty()) usage.complaint = complaint;
    const std::size_t at = said_.rfind("{\"turns\"");
    const auto ledger =
        nlohmann::json::parse(at == std::string::npos ? std::string("{}") : said_.substr(at), nullptr, false);
    for (const auto& [name, value] : ledger.flatten().items()) {
        if (value.is_number_unsigned()) usage.ledger[name.substr(1)] = value.get<std::uint64_t>();
    }
    return usage;
}

Usage ServerProcess::reap() {
    int status = 0;
    rusage used{};
    while (::wait4(pid_, &status, 0, &used) < 0 && errno == EINTR) {
    }
    pid_ = 0;
    Usage usage{.user = duration_of(used.ru_utime),
                .system = duration_of(used.ru_stime),
                .switches = static_cast<std::uint64_t>(used.ru_nvcsw),
                .preemptions = static_cast<std::uint64_t>(used.ru_nivcsw),
                .ledger = {},
                .complaint = {}};
    if (WIFSIGNALED(status)) usage.complaint = "it was ended by signal " + std::to_string(WTERMSIG(status));
    if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
        usage.complaint = "it ended with exit status " + std::to_string(WEXITSTATUS(status));
    return usage;
}

}  // namespace confab::compare
