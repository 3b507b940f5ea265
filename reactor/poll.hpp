// Internal to reactor: waiting with poll.
#pragma once

#include <poll.h>

#include <vector>

#include "pools/fd.hpp"
#include "reactor/readiness.hpp"
#include "reactor/wake_descriptor.hpp"

namespace confab {

/// The descriptors on which something is parked stand in one dense list, which the kernel is handed at each
/// wait and looks through from end to end: that is what poll costs. Changing it is O(1).
class PollMechanism : public ReadinessMechanism {
  public:
    /// Throws std::system_error.
    PollMechanism(Ledger& ledger, std::size_t receive_size);

    void wait(Instant deadline, bool posts_expected) override;
    void wake() noexcept override;
    std::string description() const override { return "poll"; }

  protected:
    /// Without a wake-up descriptor.
    PollMechanism(Ledger& ledger, std::size_t receive_size, const Kind& kind);

    /// Polls what is parked, and the wake-up descriptor if there is one. A signal ends it early.
    void poll_parked(Instant deadline);

    /// Hands out everything that is parked, ready or not.
    void try_everything();

    /// The one descriptor on which something is parked, or -1 when there are none or several.
    int only_descriptor() const { return parked_.size() == 2 ? parked_[1].fd : -1; }
    bool nothing_parked() const { return parked_.size() == 1; }

    /// Has `poll_parked` end when `fd` is written to.
    void be_woken_by(Fd fd);
    const Fd& wake_descriptor() const { return wake_; }

    int interest_changed(int fd) override;

  private:
    void forget(int /*fd*/) override {}

    Fd wake_;
    std::vector<pollfd> parked_;  // the first is the wake-up descriptor, or -1, which poll(2) skips
};

}  // namespace confab
