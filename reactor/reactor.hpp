// Public: the event loop.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include "reactor/clock.hpp"
#include "reactor/job.hpp"
#include "reactor/ledger.hpp"
#include "reactor/mechanism.hpp"
#include "reactor/operation.hpp"
#include "reactor/pulse.hpp"
#include "reactor/timer_wheel.hpp"

namespace confab {

class SimulatedNetwork;

/// How a reactor is to wait.
struct ReactorOptions {
    Waiting waiting = Waiting::epoll;
    /// io_uring features that may be used, as `--uring-features` has them; see reactor/uring_features.hpp.
    std::string uring_features = "all";
    /// Bytes that one receive lends at most.
    std::size_t receive_size = 16 * 1024;
    /// Other processes accept from the same listeners: take turns with them. A waiter that stays in the
    /// listener's queue would be the first in it for ever, and get every connection.
    bool shares_listeners = false;
    /// The world of a simulated reactor; required by Waiting::simulated, outlives the reactor.
    SimulatedNetwork* network = nullptr;
    /// Where the loop shows its pulse instead of in itself: in memory that other processes see. Outlives the
    /// reactor.
    Pulse* pulse = nullptr;
};

/// One event loop on one thread: timers, what is ready to run, and one waiting mechanism.
///
/// Threads: made, run and destroyed on one thread, after any fork. Everything belongs to that thread, and
/// checks that it does, except `post`, `stop` and the hold count.
class Reactor {
  public:
    /// Throws std::system_error when the kernel refuses the mechanism. io_uring refused: falls back to epoll;
    /// `waiting()` says what came of it and `warning()` why.
    explicit Reactor(const ReactorOptions& options);
    Reactor(const Reactor&) = delete;
    Reactor& operator=(const Reactor&) = delete;
    /// Requires: nothing in flight.
    ~Reactor();

    /// The reactor that is running on this thread; nullptr outside `run`.
    static Reactor* current() { return current_; }

    /// Why `run` came back.
    enum class End : std::uint8_t {
        stopped,   ///< `stop` was called
        deadlock,  ///< nothing is ready, in flight, timed or held: nothing can ever run again. Or all that is
                   ///< in flight waits in a simulated network in which nothing can ever happen
    };

    /// Runs the loop until one of the above. May be called again.
    End run();

    /// One iteration that does not sleep. For driving several simulated reactors by turns. False: nothing was
    /// done.
    bool turn();

    /// When a turn will find something to do, if nobody outside acts first: Instant::min() now, `never` not
    /// at all. For driving simulated reactors.
    Instant next_due() const;

    /// Makes `run` return after the current iteration. Any thread. The reactor may be destroyed as soon as it
    /// has come back: its destructor waits for those who are still in `stop`, `post` or `release_hold`.
    void stop();

    /// Starts `operation`. True: it is over already and `complete` is *not* called; false: `complete` will
    /// be. See Operation.
    bool submit(Operation& operation);

    /// Waits for `operation`, a receive, here and now, when nothing else is there to run or to wait for and
    /// the mechanism blocks in such a call. True: it is over, `result` is set, and `complete` is not called.
    /// False: it is still to be submitted. For a job that would come back here at once.
    bool wait_in(Operation& operation) {
        return mechanism_->traits().waits_in_calls && is_alone() && may_go_on() && call(operation);
    }

    /// Asks that an operation that was submitted ends soon. Without effect on one that is over.
    void cancel(Operation& operation);

    /// Ends what `Operation::keeps_timer` has begun, for good.
    void disarm(Operation& operation);

    /// Takes a sleep back: it will not complete. Without effect on one that is over.
    void withdraw(Operation& sleep);

    /// Runs `job` in this or the next iteration, behind all that is ready. Reactor's thread.
    void ready(Job& job) { ready_.push(job); }

    /// Runs `job` once after the resume step of this iteration, when everything that was ready has run: the
    /// place for work that is better done once for a whole batch, such as flushing outboxes. Reactor's
    /// thread.
    void at_end_of_turn(Job& job) { end_of_turn_.push(job); }

    /// Runs `job` on the reactor's thread soon; wakes the reactor if it sleeps. Any thread. The job must live
    /// until it runs, and the reactor must be there when this is called: hold it.
    void post(Job& job);

    /// Takes back a job that was made ready or posted (the post has returned): it will not run. Without
    /// effect on one that has run. Linear in what is ready: for rare ways out only.
    void take_back(Job& job);

    /// Sends what fits now; see Mechanism::send_now.
    int send_now(int fd, Bytes bytes) { return mechanism_->send_now(fd, bytes); }

    /// A job that goes on and on without waiting, because its calls never have to, asks this before each:
    /// false, now and then, means that it should get in line (`ready`) and let the others have their turn.
    bool may_go_on() { return inline_calls_left_ > 0 && inline_calls_left_-- > 0; }

    /// Says that somebody outside the reactor is going to post: the loop then waits for that instead of
    /// reporting a deadlock. Counted. Any thread.
    void hold() { holds_.fetch_add(1, std::memory_order_relaxed); }
    void release_hold();

    /// The time at the start of this iteration: as fresh as one system call, free to ask for.
    Instant now() const { return now_; }

    Ledger& ledger() { return ledger_; }
    Waiting waiting() const { return waiting_; }
    const Mechanism::Traits& traits() const { return mechanism_->traits(); }
    std::string description() const { return mechanism_->description(); }
    /// Why the mechanism is not the one asked for; empty when it is.
    const std::string& warning() const { return warning_; }

    /// True when the thread that calls is the reactor's.
    bool on_own_thread() const { return std::this_thread::get_id() == thread_; }

    /// What others may look at meanwhile. Any thread.
    Pulse& pulse() { return pulse_; }

  private:
    // How often one job may go on without waiting before others get their turn: enough to make the queueing
    // cheap against the calls, and few enough that a fast peer delays nobody by more than these.
    static constexpr int inline_calls_per_job = 64;
    // A turn runs at least that many rounds of what jobs made ready, and that many jobs, before the kernel is
    // asked again: so tasks that only talk to each other do not pay a system call for every few steps, and
    // what comes from outside never waits long. Each round is bounded by what was ready at its start.
    static constexpr int rounds_per_turn = 16;
    static constexpr int jobs_per_turn = 512;

    class Visit;

    static void run_operation(Job& job) noexcept;

    void wake_if_asleep();
    void check_thread() const;
    void arm(Operation& operation);
    void expire_timers();
    bool is_anything_timed() const { return timers_.size() != kept_timers_; }
    void wait(bool may_sleep);
    void collect();
    void resume();
    void take_inbox();
    int run_all(JobQueue& jobs);
    bool nothing_can_ever_run() const;
    bool is_alone() const;
    bool call(Operation& operation);
    bool announce_sleep();
    void beat();
    void finish(Operation& operation);

    static thread_local Reactor* current_;

    // Constant after construction.
    std::thread::id thread_;
    std::string warning_;
    Waiting waiting_;

    // The reactor's thread only.
    Ledger ledger_;
    std::unique_ptr<Mechanism> mechanism_;
    Instant now_;
    TimerWheel timers_;
    std::size_t kept_timers_ = 0;  // of operations that are not in flight; see Operation::keeps_timer
    JobQueue ready_;
    JobQueue running_;  // what is left of the batch that runs now
    JobQueue end_of_turn_;
    int inline_calls_left_ = 0;
    bool running_on_ = false;      // true exactly inside `run`
    std::uint64_t in_flight_ = 0;  // operations with the mechanism
    std::uint64_t allocations_before_ = 0;

    // Any thread.
    std::atomic<Job*> inbox_{nullptr};  // newest first
    std::atomic<bool> asleep_{false};
    std::atomic<bool> stop_requested_{false};
    std::atomic<int> holds_{0};
    std::atomic<int> visitors_{0};  // threads inside the functions that any thread may call
    Pulse own_pulse_;
    Pulse& pulse_;
};

}  // namespace confab
