// Internal to server: systemd, or who else speaks its two small protocols (sd_listen_fds(3), sd_notify(3)).
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "pools/fd.hpp"

namespace confab {

/// The service manager that has started this process, if there is one; else all is without effect. One
/// thread. The protocols are a few variables and datagrams, which is less than a library for them.
class ServiceManager {
  public:
    using Clock = std::chrono::steady_clock;

    /// Takes what the environment says, and takes it out of there: it is meant for this process alone.
    /// Requires: the program has one thread. Throws std::system_error when there is no descriptor.
    ServiceManager();

    /// Listening sockets that it has opened for this process (socket activation); the numbers of descriptors,
    /// which are the caller's.
    const std::vector<int>& listeners() const { return listeners_; }

    void say_ready();
    void say_reloading();
    void say_stopping();

    /// What the environment must say for another process to take this one's place in its eyes.
    std::vector<std::pair<std::string, std::string>> environment() const;
    /// Says that the service is that process from here on; nothing is said any more.
    void leave_to(pid_t successor);

    /// Says that all is well, if that is due: twice as often as it has to be.
    void beat();
    /// When the next beat is due; time_point::max() when none is awaited.
    Clock::time_point next_due() const { return beat_at_; }
    /// How long it waits for a beat.
    std::optional<std::chrono::microseconds> patience() const { return patience_; }

  private:
    void say(const std::string& text) const;

    std::vector<int> listeners_;
    std::string address_;  // as in sockaddr_un; empty: there is nobody
    Fd socket_;
    std::optional<std::chrono::microseconds> patience_;
    Clock::time_point beat_at_ = Clock::time_point::max();
};

}  // namespace confab
