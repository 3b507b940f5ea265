#include "server/service_manager.hpp"

#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <system_error>

namespace confab {

namespace {

constexpr int first_listener = 3;

std::string take_variable(const char* name) {
    const char* const value = std::getenv(name);
    std::string text = value != nullptr ? value : "";
    ::unsetenv(name);
    return text;
}

std::optional<std::int64_t> number_in(const std::string& text) {
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
    return number;
}

// Variables are inherited, and may be meant for who has started this process.
bool is_own_number(const std::string& text) { return number_in(text) == ::getpid(); }

}  // namespace

ServiceManager::ServiceManager() {
    const bool passes_listeners = is_own_number(take_variable("LISTEN_PID"));
    const auto count = number_in(take_variable("LISTEN_FDS"));
    take_variable("LISTEN_FDNAMES");
    if (passes_listeners && count) {
        for (int i = 0; i < *count; ++i) listeners_.push_back(first_listener + i);
    }
    address_ = take_variable("NOTIFY_SOCKET");
    const std::string watched = take_variable("WATCHDOG_PID");
    const auto microseconds = number_in(take_variable("WATCHDOG_USEC"));
    const bool known = !address_.empty() && (address_[0] == '/' || address_[0] == '@') &&
                       address_.size() < sizeof(sockaddr_un::sun_path);
    if (!known) {
        address_.clear();
        return;
    }
    if (address_[0] == '@') address_[0] = '\0';  // unix(7): the abstract namespace
    socket_ = Fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket_) throw std::system_error(errno, std::generic_category(), "socket");
    if (!microseconds || *microseconds <= 0 || !(watched.empty() || is_own_number(watched))) return;
    patience_ = std::chrono::microseconds(*microseconds);
    beat_at_ = Clock::now();
}

void ServiceManager::say_ready() { say("READY=1"); }

void ServiceManager::say_reloading() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    const std::int64_t microseconds = now.tv_sec * std::int64_t{1'000'000} + now.tv_nsec / 1000;
    say("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(microseconds));
}

void ServiceManager::say_stopping() { say("STOPPING=1"); }

std::vector<std::pair<std::string, std::string>> ServiceManager::environment() const {
    std::vector<std::pair<std::string, std::string>> variables;
    if (address_.empty()) return variables;
    variables.emplace_back("NOTIFY_SOCKET", address_[0] == '\0' ? '@' + address_.substr(1) : address_);
    if (patience_) variables.emplace_back("WATCHDOG_USEC", std::to_string(patience_->count()));
    return variables;
}

void ServiceManager::leave_to(pid_t successor) {
    say("MAINPID=" + std::to_string(successor));
    address_.clear();
    patience_.reset();
    beat_at_ = Clock::time_point::max();
}

void ServiceManager::beat() {
    if (Clock::now() < beat_at_) return;
    beat_at_ = Clock::now() + *patience_ / 2;
    say("WATCHDOG=1");
}

// One who does not listen is not waited for: it will say itself what it has missed.
void ServiceManager::say(const std::string& text) const {
    if (address_.empty()) return;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, address_.data(), address_.size());
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address_.size());
    const ssize_t sent = ::sendto(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL,
                                  reinterpret_cast<const sockaddr*>(&address), size);
    if (sent < 0)
        spdlog::warn("the service manager does not hear: {}", std::generic_category().message(errno));
}

}  // namespace confab
