#include "server/succession.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <system_error>
#include <utility>

#include "server/feed.hpp"
#include "server/signals.hpp"
#include "server/worker_process.hpp"

namespace confab {

namespace {

using namespace std::chrono_literals;

// "CHANNEL FILES LISTENER...": numbers of descriptors, and whether the files are the successor's.
constexpr const char* variable = "CONFAB_SUCCEEDS";

// A predecessor answers with its next turn. One that does not has other troubles, and need not be waited for.
constexpr auto longest_farewell = 5s;

std::system_error failed(const char* what) { return {errno, std::generic_category(), what}; }

// By its name, not by /proc/self/exe itself: what lies there by then is the new program.
std::string path_of_this_program() {
    std::array<char, PATH_MAX> path{};
    const ssize_t size = ::readlink("/proc/self/exe", path.data(), path.size());
    return {path.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0))};
}

std::vector<std::string> arguments_of_this_program() {
    std::ifstream file("/proc/self/cmdline");
    std::vector<std::string> arguments;
    for (std::string argument; std::getline(file, argument, '\0');) arguments.push_back(argument);
    return arguments;
}

bool pass_on(int descriptor) { return ::fcntl(descriptor, F_SETFD, 0) == 0; }

[[noreturn]] void become(const std::string& program, std::vector<std::string>& arguments) {
    constexpr int cannot_start = 127;
    std::vector<char*> pointers;
    for (std::string& argument : arguments) pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    Signals::let_be();
    ::execv(program.c_str(), pointers.data());
    spdlog::error("{} cannot be started: {}", program, std::generic_category().message(errno));
    std::_Exit(cannot_start);
}

}  // namespace

Succession::Succession(std::string pid_file)
    : program_(path_of_this_program()), pid_file_path_(std::move(pid_file)) {
    const char* const text = std::getenv(variable);
    std::istringstream numbers(text != nullptr ? text : "");
    ::unsetenv(variable);
    int channel = -1;
    if (numbers >> channel >> owns_files_ && ::fcntl(channel, F_SETFD, FD_CLOEXEC) == 0) {
        predecessor_ = Fd(channel);
        for (int listener = -1; numbers >> listener;) listeners_.push_back(listener);
    } else if (!pid_file_path_.empty()) {
        pid_file_.emplace(pid_file_path_);
    }
}

std::deque<Fd> Succession::take_over() {
    std::deque<Fd> connections;
    if (!predecessor_) return connections;
    ::prctl(PR_SET_PDEATHSIG, 0);  // from here on it may end when it likes
    feed::acknowledge(predecessor_.get());
    const auto end = Clock::now() + longest_farewell;
    while (true) {
        auto connection = feed::receive(predecessor_.get());
        if (connection) {
            connections.push_back(std::move(*connection));
            continue;
        }
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now());
        if (connection.error() == std::errc::too_many_files_open) continue;
        if (connection.error() != std::errc::resource_unavailable_try_again || left <= 0ms) break;
        pollfd watched{.fd = predecessor_.get(), .events = POLLIN, .revents = 0};
        if (::poll(&watched, 1, static_cast<int>(left.count())) < 0 && errno != EINTR) throw failed("poll");
    }
    predecessor_ = Fd();
    if (!pid_file_path_.empty()) pid_file_.emplace(pid_file_path_);
    return connections;
}

void Succession::start_successor(std::span<const int> listeners, bool owns_files,
                                 const ServiceManager& manager, Clock::duration limit) {
    std::vector<std::string> arguments = arguments_of_this_program();
    if (program_.empty() || arguments.empty()) {
        errno = ENOENT;
        throw failed("/proc");
    }
    feed::Pair channel = feed::make();
    std::fflush(nullptr);  // or the child would write it once more
    const pid_t parent = ::getpid();
    const pid_t pid = ::fork();
    if (pid < 0) throw failed("fork");
    if (pid == 0) {
        end_with(parent);
        std::string text = std::to_string(channel.taker.get()) + (owns_files ? " 1" : " 0");
        bool ready = pass_on(channel.taker.get());
        for (const int listener : listeners) {
            text += ' ' + std::to_string(listener);
            ready = ready && pass_on(listener);
        }
        ready = ready && ::setenv(variable, text.c_str(), 1) == 0;
        for (const auto& [name, value] : manager.environment()) {
            ready = ready && ::setenv(name.c_str(), value.c_str(), 1) == 0;
        }
        if (!ready) std::_Exit(EXIT_FAILURE);
        become(program_, arguments);
    }
    channel_ = std::move(channel.giver);
    successor_ = pid;
    due_ = Clock::now() + limit;
}

bool Succession::successor_is_ready() const { return channel_ && feed::acknowledged(channel_.get()) > 0; }

void Succession::kill_successor() {
    due_ = Clock::time_point::max();
    if (successor_ != 0) ::kill(successor_, SIGKILL);
}

void Succession::successor_ended() {
    successor_ = 0;
    channel_ = Fd();
    due_ = Clock::time_point::max();
}

void Succession::let_go(const std::deque<Fd>& connections) {
    for (const Fd& connection : connections) {
        const std::error_code error = feed::send(channel_.get(), connection.get());
        if (error) spdlog::error("a connection is lost on its way to the new program: {}", error.message());
    }
    if (pid_file_) pid_file_->leave();
    pid_file_.reset();
    successor_ended();
}

void Succession::remove_pid_file() noexcept {
    if (pid_file_) pid_file_->remove();
}

}  // namespace confab
