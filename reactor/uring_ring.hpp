// Internal to reactor: an io_uring, set up as well as the kernel lets us.
#pragma once

#include <liburing.h>

#include <expected>
#include <memory>
#include <string>
#include <vector>

#include "reactor/clock.hpp"
#include "reactor/ledger.hpp"
#include "reactor/uring_features.hpp"

namespace confab {

/// The two queues and the one system call. Entries gather until `submit_and_wait`, or until all are taken.
///
/// One thread: the one that opened it (the kernel insists, with SINGLE_ISSUER), and never a forked child.
class UringRing {
  public:
    /// The error is a sentence on why the kernel refuses, and what to do about it.
    static std::expected<std::unique_ptr<UringRing>, std::string> open(Ledger& ledger, UringFeatures allowed);
    UringRing(const UringRing&) = delete;
    UringRing& operator=(const UringRing&) = delete;
    ~UringRing();

    /// What is in use of `allowed`, as far as setting up the ring tells.
    UringFeatures features() const { return features_; }
    io_uring& raw() { return ring_; }

    /// The next entry of the submission queue, to be filled in with one of liburing's io_uring_prep_...;
    /// valid until the next call here. When the queue is full it is submitted first.
    io_uring_sqe& next_entry() {
        while (unsubmitted() == ring_.sq.ring_entries) [[unlikely]]
            submit();
        return ring_.sq.sqes[tail_++ & ring_.sq.ring_mask];
    }
    /// A message header that lives as long as the kernel needs it for `entry` (it keeps its own copy from
    /// submission on).
    msghdr& message_of(const io_uring_sqe& entry);

    /// Entries that the kernel has not seen yet.
    unsigned unsubmitted() const { return tail_ - io_uring_smp_load_acquire(ring_.sq.khead); }
    /// Hands them over now, without waiting.
    void submit();
    /// Hands over what there is and waits for a completion until `deadline`; does not wait when one is there.
    /// Without anything to submit, to wait for or to fetch it makes no system call. May return early.
    void submit_and_wait(Instant deadline);

    /// Calls `handle(const io_uring_cqe&)` for each completion that is here now, oldest first; it may use
    /// next_entry and submit.
    template <class Handle>
    void take_completions(Handle handle) {
        note_overflow();
        const unsigned last = io_uring_smp_load_acquire(ring_.cq.ktail);
        for (std::size_t i = 0; i < set_aside_.size(); ++i) handle(set_aside_[i]);
        set_aside_.clear();
        for (unsigned head = *ring_.cq.khead; static_cast<int>(last - head) > 0; head = *ring_.cq.khead) {
            const io_uring_cqe completion = ring_.cq.cqes[head & ring_.cq.ring_mask];
            io_uring_smp_store_release(ring_.cq.khead, head + 1);
            handle(completion);
        }
    }

  private:
    explicit UringRing(Ledger& ledger) : ledger_(ledger) {}

    int set_up(UringFeatures allowed);
    void make_the_most_of_it(UringFeatures allowed);
    void find_operations(UringFeatures allowed);
    int enter(unsigned entries, unsigned completions, unsigned flags, const __kernel_timespec* limit);
    unsigned publish();
    bool completions_here() const;
    bool kernel_holds_more() const;
    void note_overflow();
    void set_completions_aside();

    Ledger& ledger_;
    io_uring ring_{};
    UringFeatures features_;
    bool open_ = false;
    unsigned tail_ = 0;  // of the submission queue; the kernel learns of it by `publish`
    std::unique_ptr<msghdr[]> messages_;
    std::vector<io_uring_cqe> set_aside_;  // completions taken out of a full queue, older than what is in it
};

}  // namespace confab
