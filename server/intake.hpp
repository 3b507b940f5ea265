// Internal to server: connections that a supervisor accepts for others.
#pragma once

#include <poll.h>

#include <chrono>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "pools/fd.hpp"

namespace confab {

/// Listeners, and the connections that were accepted from them and are with nobody yet: one of each listener
/// at most, since it is in the kernel's queue that a connection waits best.
class Intake {
  public:
    using Clock = std::chrono::steady_clock;

    /// Accepts nothing while it has no listeners.
    Intake() = default;
    explicit Intake(std::vector<Fd> listeners) : listeners_(std::move(listeners)) {}

    /// Adds what to wait for to `watched`: nothing while somebody waits already, or accepting pauses.
    void watch(std::vector<pollfd>& watched) const;
    /// When accepting is to be tried again, if it pauses; else time_point::max().
    Clock::time_point next_due() const;

    /// The next connection, which is the caller's; nothing: nobody is there, or accepting pauses.
    std::optional<Fd> take();
    /// The next one `take` gives. Also for one that was somebody else's before.
    void put_back(Fd connection) { waiting_.push_front(std::move(connection)); }

    /// Takes none for a moment, since nobody tells when what is missing can be had again. Says `why`, once.
    void pause(const std::string& why);

    const std::vector<Fd>& listeners() const { return listeners_; }
    /// Those who wait, who are the caller's.
    std::deque<Fd> take_waiting() { return std::exchange(waiting_, {}); }

    /// Closes the listeners, and whoever waits.
    void close();

  private:
    bool paused_now() const { return paused_ && Clock::now() < again_at_; }
    void accept();

    std::vector<Fd> listeners_;
    std::deque<Fd> waiting_;
    bool paused_ = false;  // and said
    Clock::time_point again_at_{};
};

}  // namespace confab
