// Internal to reactor: not waiting at all.
#pragma once

#include "reactor/poll.hpp"

namespace confab {

/// "Synchronous non-blocking": each wait tries everything that is parked, with one system call apiece,
/// whether or not anything has happened. The reactor never sleeps; the cost is the point.
class BusyMechanism final : public PollMechanism {
  public:
    BusyMechanism(Ledger& ledger, std::size_t receive_size);

    void wait(Instant deadline, bool posts_expected) override;
    void wake() noexcept override {}
    std::string description() const override { return "busy"; }

  private:
    std::uint64_t events_before_ = 0;
};

}  // namespace confab
