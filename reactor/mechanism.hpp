// Public: the seam. What a way of waiting owes the reactor that owns it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "reactor/clock.hpp"
#include "reactor/job.hpp"
#include "reactor/ledger.hpp"
#include "reactor/operation.hpp"

namespace confab {

/// The ways of waiting.
enum class Waiting : std::uint8_t { blocking, busy, select, poll, epoll, uring, simulated };

std::string_view name(Waiting waiting);
/// The way of waiting that a user may name ("blocking" ... "uring"); nothing for any other word.
std::optional<Waiting> waiting_named(std::string_view word);

/// A waiting mechanism: it owns its kernel handle and the operations in flight, and nothing else. It is
/// completion shaped - the reactor says "receive", never "tell me when readable" - and readiness, where a
/// mechanism has it, stays inside. It knows no timers (the reactor cancels what is late) and runs nobody's
/// code.
///
/// Threads: everything belongs to the reactor's thread, except `wake`.
///
/// The reactor calls, each turn: flush, wait, collect, then finish for each operation collected.
class Mechanism {
  public:
    struct Traits {
        /// True exactly when received bytes lie in one buffer that the next receive of *any* descriptor
        /// overwrites.
        bool lends_scratch;
        /// True exactly when `wait_in` may be worth a try.
        bool waits_in_calls = false;
    };

    Mechanism(Ledger& ledger, Traits traits) : ledger_(ledger), traits_(traits) {}
    Mechanism(const Mechanism&) = delete;
    Mechanism& operator=(const Mechanism&) = delete;
    /// Requires: nothing in flight.
    virtual ~Mechanism() = default;

    const Traits& traits() const { return traits_; }

    /// Starts `operation` (any kind but sleep). True: it is over already, `result` is set, and it will not be
    /// collected. False: it is in flight and will come out of `collect` once. Receive is never over at once.
    /// A descriptor that the mechanism cannot hold (select: >= FD_SETSIZE) ends with -EMFILE.
    virtual bool submit(Operation& operation) = 0;

    /// Asks that `operation`, which is in flight, ends soon. It comes out of `collect` as ever, with
    /// -ECANCELED or with what it had achieved by then (a send that had sent some: -ECANCELED; the stream is
    /// then broken).
    virtual void cancel(Operation& operation) = 0;

    /// Hands over to the kernel what was gathered and needs no wait to go out.
    virtual void flush() = 0;

    /// Sleeps until an operation in flight may be over, `wake` was called, or `deadline` has come; returns at
    /// once when any of this already holds. May return early. `deadline` <= now polls. `posts_expected`:
    /// somebody outside may wake; a blocking mechanism then waits for that as well instead of making the one
    /// plain blocking call.
    virtual void wait(Instant deadline, bool posts_expected) = 0;

    /// Waits for `operation`, which was not submitted and is all there is to wait for, in the very call that
    /// it stands for; until its deadline at most, when that is reckoned from `now`. True: over, `result` is
    /// set. False: not the way of this mechanism or not now, or `wake` was called; nothing has happened, and
    /// the operation can be submitted.
    virtual bool wait_in(Operation& /*operation*/, Instant /*now*/) { return false; }

    /// Moves the operations that are over, or worth trying again, to the back of `ready`. Runs no code of
    /// theirs.
    virtual void collect(JobQueue& ready) = 0;

    /// The last step of a collected operation, right before its owner hears of it: mechanisms that lend a
    /// scratch buffer read here. True: over, `result` is set. False: it was too early after all, it is in
    /// flight again.
    virtual bool finish(Operation& operation) = 0;

    /// Sends what fits now, without waiting: bytes sent, or -errno (-EAGAIN: nothing fits). Requires: no send
    /// in flight on `fd`.
    virtual int send_now(int fd, Bytes bytes) = 0;

    /// Makes the current or next `wait` return. Any thread.
    virtual void wake() noexcept = 0;

    /// No operation in flight is over before this instant unless somebody acts first. A kernel does not tell:
    /// any time. A simulated world knows its future: `never` when there is nothing in it.
    virtual Instant next_completion() const { return Instant::min(); }

    /// The time.
    virtual Instant now() const { return Clock::now(); }

    /// One line about what is in use, for the start-up line and reports: "epoll", "io_uring (defer_taskrun,
    /// ...)".
    virtual std::string description() const = 0;

  protected:
    Ledger& ledger() { return ledger_; }

    /// Puts `operation`, over or worth trying again, at the back of `queue`, from where `collect` hands it
    /// on.
    static void hand_over(Operation& operation, JobQueue& queue) {
        operation.state = Operation::State::ready;
        queue.push(operation);
    }

  private:
    Ledger& ledger_;
    const Traits traits_;
};

}  // namespace confab
