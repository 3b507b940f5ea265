// Internal to reactor: what the mechanisms that can only say "try now" have in common.
//
// They turn readiness into completions: a call is tried first and its operation parked when the kernel says
// EAGAIN; when the descriptor becomes ready the operation is handed to the reactor, which has `finish` make
// the call right before its owner resumes. So one scratch buffer serves every receive, and an idle connection
// holds none.
//
// The invariant of the cached readiness (`Watched::readable`, `writable`): false means that the kernel has
// said EAGAIN (or given less than was asked for, epoll(7) "Questions", Q9) and will tell of the next change;
// true means "try". Only a mechanism that hears of each change once (edge-triggered) keeps it; to the others
// a receive is always worth asking about first and a send always worth trying.
#pragma once

#include <sys/socket.h>

#include <array>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "reactor/mechanism.hpp"
#include "reactor/receive_memory.hpp"

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
    struct Kind {
        bool edge_triggered = false;       ///< the kernel tells of each change once
        int descriptor_limit = INT_MAX;    ///< the mechanism can hold the descriptors below this
        int accept_flags = SOCK_NONBLOCK;  ///< for accept4(2), besides SOCK_CLOEXEC
        bool waits_in_calls = false;       ///< see Mechanism::Traits
        bool connects_unblocked = false;   ///< a socket may be a blocking one: see to that before connect
    };
    /// `receive_size`: of the scratch buffer.
    ReadinessMechanism(Ledger& ledger, std::size_t receive_size, const Kind& kind);

    /// What is known of one descriptor.
    struct Watched {
        Job* parked = nullptr;         ///< operations waiting for readiness, oldest first
        std::uint16_t handed_out = 0;  ///< operations collected and not finished
        bool readable : 1 = false;
        bool writable : 1 = true;
        bool hung_up : 1 = false;  ///< end of stream or an error is near: a short read is not the last word
        bool lasting : 1 = true;   ///< false: a foreign descriptor, to be forgotten when its poll is over
        bool closing : 1 = false;  ///< a close waits for what is handed out
        // The mechanism's own.
        bool registered : 1 = false;         ///< the kernel, or its list for the kernel, knows of it
        bool shared : 1 = false;             ///< other processes have it open, too
        bool blocks : 1 = false;             ///< known not to be O_NONBLOCK
        std::uint8_t receive_limit : 4 = 0;  ///< what SO_RCVTIMEO is known to be; see blocking.cpp
        std::uint8_t send_limit : 4 = 0;     ///< SO_SNDTIMEO
        std::uint32_t slot = 0;              ///< where it stands in the mechanism's list
    };
    static_assert(sizeof(Job*) != 8 || sizeof(Watched) == 16, "a million connections have one each");

    /// The poll(2) events that the parked operations of `watched` wait for.
    static short events_wanted(const Watched& watched);

    /// Requires: `fd` has been watched. The reference lasts as long as the mechanism.
    Watched& watched(int fd) {
        const auto index = static_cast<std::size_t>(fd);
        return (*table_[index / page_size])[index % page_size];
    }

    /// The kernel says that `events` (as in poll(2)) hold for `fd`.
    void became_ready(int fd, short events);

    bool anything_due() const { return !due_.empty(); }

    /// Makes the one plain call that blocks, for a receive or send that is the only operation in flight: it
    /// is handed out, over, and true returned; or false, when the call was interrupted or its limit passed.
    bool block_in(Operation& operation);

    /// Makes the plain call that blocks for an operation that was not submitted. False: it was interrupted or
    /// its limit passed.
    bool call(Operation& operation) { return attempt(operation, 0); }

    /// Whether `fd` may be a descriptor, which a submit checks first.
    bool is_descriptor(int fd);
    /// The slot of `fd` in the table; null if there is none.
    Watched* find(int fd) {
        const std::size_t page = static_cast<std::size_t>(fd) / page_size;  // of a negative one: enormous
        if (page >= table_.size() || table_[page] == nullptr) [[unlikely]]
            return nullptr;
        return &(*table_[page])[static_cast<std::size_t>(fd) % page_size];
    }
    /// The slot of `fd` in the table, which is made to exist.
    Watched& watch(int fd) {
        if (Watched* const slot = find(fd)) [[likely]]
            return *slot;
        make_page_for(fd);
        return watched(fd);
    }

    /// An operation was parked on `fd` or taken away. The mechanism brings its kernel handle up to date. (Not
    /// called where each change is told once and the descriptor is registered: nothing changes.) 0 or
    /// -errno; an error ends the operation that was being parked.
    virtual int interest_changed(int fd) = 0;
    /// A connection has been accepted from `listener`.
    virtual void accepted(int /*listener*/) {}
    /// `fd`, on which nothing is parked, is about to be closed, or no longer ours: forget it.
    virtual void forget(int fd) = 0;

  private:
    // Pages of a table that is indexed by descriptor: a server of a million connections finds each without a
    // search and never moves them all at once, and a reactor with one connection of number 10,000 pays for a
    // page and not for 10,000.
    static constexpr std::size_t page_size = 64;
    using Page = std::array<Watched, page_size>;

    // Edge-triggered, the kernel has been told of all there is to want.
    bool keeps_interest(const Watched& watched) const { return kind_.edge_triggered && watched.registered; }
    void make_page_for(int fd);
    bool attempt(Operation& operation, int flags);
    bool has_room_to_accept(const Operation& operation);
    bool attempt_accept(Operation& operation);
    bool attempt_connect(Operation& operation);
    bool attempt_receive(Operation& operation, int flags);
    bool attempt_send(Operation& operation, int flags);
    bool send_at_once(const Watched& watched, Operation& operation);
    bool attempt_poll(Operation& operation);
    bool submit_close(Operation& operation);
    static void park(Operation& operation, Watched& watched);
    bool watch_for(Operation& operation);
    void unpark(Operation& operation);
    void hand_out(Operation& operation, Watched& watched);
    void close_now(Operation& operation);

    const Kind kind_;
    std::vector<std::unique_ptr<Page>> table_;
    JobQueue due_;
    const Operation* over_ = nullptr;  // what `block_in` made the call for
    int highest_accepted_ = -1;
    const std::size_t scratch_size_;
    const ReceiveMemory scratch_;
};

}  // namespace confab
