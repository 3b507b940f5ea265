// Internal to reactor: what the mechanisms that can only say "try now" have in common.
//
// They turn readiness into completions: a call is tried first and its operation parked when the kernel says
// EAGAIN; when the descriptor becomes ready the operation is handed to the reactor, which has `finish` make
// the call right before its owner resumes. So one scratch buffer serves every receive, and an idle connection
// holds none.
//
// The invariant of the cached readiness (`Watched::readable`, `writable`): false means that the kernel has
// said EAGAIN (or given less than was asked for, epoll(7) "Questions", Q9) and will tell of the next change;
// true means "try". A mechanism that must be asked anew each time (level-triggered) never leaves `readable`
// true.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "reactor/mechanism.hpp"

namespace confab {

class ReadinessMechanism : public Mechanism {
  public:
    bool submit(Operation& operation) final;
    void cancel(Operation& operation) final;
    void flush() final {}
    void collect(JobQueue& ready) final;
    bool finish(Operation& operation) final;
    int send_now(int fd, Bytes bytes) final;

  protected:
    /// `receive_size`: of the scratch buffer. `edge_triggered`: whether the kernel tells of each change once.
    ReadinessMechanism(Ledger& ledger, std::size_t receive_size, bool edge_triggered);

    /// What is known of one descriptor. Indexed by number, so that a server of a million connections spends
    /// 16 bytes each and finds them without a search.
    struct Watched {
        Job* parked = nullptr;         ///< operations waiting for readiness, oldest first
        std::uint16_t handed_out = 0;  ///< operations collected and not finished
        bool registered : 1 = false;   ///< the mechanism's own: the kernel knows of it
        bool readable : 1 = false;
        bool writable : 1 = true;
        bool hung_up : 1 = false;  ///< end of stream or an error is near: a short read is not the last word
        bool lasting : 1 = true;   ///< false: a foreign descriptor, to be forgotten when its poll is over
        bool closing : 1 = false;  ///< a close waits for what is handed out
    };

    /// The poll(2) events that the parked operations of `watched` wait for.
    static short events_wanted(const Watched& watched);

    Watched& watched(int fd) { return table_[static_cast<std::size_t>(fd)]; }
    bool known(int fd) const { return static_cast<std::size_t>(fd) < table_.size(); }

    /// The kernel says that `events` (as in poll(2)) hold for `fd`.
    void became_ready(int fd, short events);

    bool anything_due() const { return !due_.empty(); }

    std::byte* scratch() { return scratch_.get(); }
    std::size_t scratch_size() const { return scratch_size_; }
    /// Makes the call for `operation`: true when it is over, result set; false for EAGAIN. `flags` for recv
    /// and send.
    bool attempt(Operation& operation, int flags);
    /// Takes a parked operation out of its descriptor's list.
    void unpark(Operation& operation);
    void hand_out(Operation& operation);
    /// Asks for `fd`'s slot in the table to exist.
    Watched& watch(int fd);

    /// An operation was parked on `fd` or taken away. The mechanism brings its kernel handle up to date. 0 or
    /// -errno; an error ends the operation that was being parked.
    virtual int interest_changed(int fd) = 0;
    /// `fd` is about to be closed, or no longer ours: forget it.
    virtual void forget(int fd) = 0;

  private:
    bool attempt_accept(Operation& operation);
    bool attempt_connect(Operation& operation);
    bool attempt_receive(Operation& operation, int flags);
    bool attempt_send(Operation& operation, int flags);
    bool attempt_poll(Operation& operation);
    bool submit_close(Operation& operation);
    bool park(Operation& operation);
    void close_now(Operation& operation);

    std::vector<Watched> table_;
    JobQueue due_;
    const std::size_t scratch_size_;
    const std::unique_ptr<std::byte[]> scratch_;
    const bool edge_triggered_;
};

}  // namespace confab
