// Internal to reactor: waiting with epoll.
#pragma once

#include <sys/epoll.h>

#include <array>

#include "pools/fd.hpp"
#include "reactor/readiness.hpp"

namespace confab {

/// Each descriptor is registered once, edge-triggered and for everything, when an operation is first parked
/// on it, and never modified: readiness is cached (see readiness.hpp). Closing a socket takes it out of the
/// kernel's set.
///
/// A listener that other processes accept from as well wakes one of those who wait (EPOLLEXCLUSIVE), and each
/// who has accepted leaves the queue and comes back in at its end.
class EpollMechanism final : public ReadinessMechanism {
  public:
    /// Throws std::system_error.
    EpollMechanism(Ledger& ledger, std::size_t receive_size, bool shares_listeners);

    void wait(Instant deadline, bool posts_expected) override;
    void wake() noexcept override;
    std::string description() const override { return "epoll"; }

  private:
    int interest_changed(int fd) override;
    void accepted(int listener) override;
    void forget(int fd) override;
    void take_out(int fd);

    // Enough for one wait to bring all that a busy turn has; more comes with the next.
    static constexpr std::size_t events_per_wait = 256;

    const bool shares_listeners_;
    Fd epoll_;
    Fd wake_;
    std::array<epoll_event, events_per_wait> events_;
};

}  // namespace confab
