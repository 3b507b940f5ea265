#include "server/intake.hpp"

#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace confab {

namespace {

// Nobody tells when there is a descriptor or a process to be had again, so it is tried.
constexpr std::chrono::milliseconds try_again_after{50};

}  // namespace

void Intake::watch(std::vector<pollfd>& watched) const {
    if (!waiting_.empty() || paused_now()) return;
    for (const Fd& listener : listeners_) {
        watched.push_back({.fd = listener.get(), .events = POLLIN, .revents = 0});
    }
}

Intake::Clock::time_point Intake::next_due() const {
    return paused_now() ? again_at_ : Clock::time_point::max();
}

std::optional<Fd> Intake::take() {
    if (paused_now()) return std::nullopt;
    if (waiting_.empty()) accept();
    if (waiting_.empty()) return std::nullopt;
    Fd next = std::move(waiting_.front());
    waiting_.pop_front();
    return next;
}

void Intake::accept() {
    for (const Fd& listener : listeners_) {
        Fd connection(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (connection) {
            if (std::exchange(paused_, false)) spdlog::info("accepting again");
            waiting_.push_back(std::move(connection));
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            pause(std::generic_category().message(errno));
        }
    }
}

void Intake::pause(const std::string& why) {
    again_at_ = Clock::now() + try_again_after;
    if (!std::exchange(paused_, true)) spdlog::warn("accepting pauses: {}", why);
}

void Intake::close() {
    listeners_.clear();
    waiting_.clear();
}

}  // namespace confab
