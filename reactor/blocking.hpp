// Internal to reactor: waiting in the call itself.
#pragma once

#include <sys/types.h>

#include <atomic>

#include "reactor/interrupt_timer.hpp"
#include "reactor/poll.hpp"

namespace confab {

/// With one receive or send to wait for it makes that call, and the call blocks; with anything else, or when
/// posts are expected, it polls (see blocking.cpp). Cheap to make: a server with a thread for each connection
/// makes one for each.
class BlockingMechanism final : public PollMechanism {
  public:
    /// Unblocks SIGURG in the calling thread. Throws std::system_error.
    BlockingMechanism(Ledger& ledger, std::size_t receive_size);

    void wait(Instant deadline, bool posts_expected) override;
    bool wait_in(Operation& operation, Instant now) override;
    void wake() noexcept override;
    std::string description() const override { return "blocking"; }

  private:
    int interest_changed(int fd) override;

    Operation* only_operation();
    void have_wake_descriptor();
    bool may_block_in(Operation& operation, Instant deadline, Instant now);
    bool set_limit(Operation& operation, Duration left);
    bool remind_at(Operation& operation, Instant deadline, Instant now);

    /// What the reactor's thread is doing, and what has been done about it.
    enum class Doing : int {
        running,       ///< not waiting
        woken,         ///< `wake` came while running, or has written the wake-up descriptor
        polling,       ///< the wake-up descriptor too
        calling,       ///< a call that only a signal ends
        interrupting,  ///< such a call, and somebody in `wake` is setting up the signal
        interrupted,   ///< the same, set up
    };
    bool begin(Doing what);
    void end();
    void interrupt() noexcept;

    // Constant after construction.
    const pid_t thread_;

    // The reactor's thread only.
    InterruptTimer reminder_;
    unsigned receives_limited_ = 0;  // since there was last a try to make the reminder
    bool came_back_ = false;         // what is parked has been called for once, and the call ended without it

    // Any thread.
    std::atomic<Doing> doing_{Doing::running};
    std::atomic<bool> call_is_over_{false};  // true exactly when `end` waits for `interrupted`

    // The thread that made `interrupting`, until `interrupted`; then the reactor's.
    InterruptTimer interrupter_;
};

}  // namespace confab
