#include "reactor/reactor.hpp"

#include <algorithm>
#include <cassert>
#include <cstdlib>
#include <utility>

#include "reactor/make_mechanism.hpp"
#include "reactor/thread_counts.hpp"

namespace confab {

thread_local Reactor* Reactor::current_ = nullptr;

// Whoever is in one of the functions for any thread: what he does may end `run` before he is out again.
class Reactor::Visit {
  public:
    explicit Visit(Reactor& reactor) : visitors_(reactor.visitors_) {
        visitors_.fetch_add(1, std::memory_order_relaxed);
    }
    Visit(const Visit&) = delete;
    Visit& operator=(const Visit&) = delete;
    ~Visit() { visitors_.fetch_sub(1, std::memory_order_release); }

  private:
    std::atomic<int>& visitors_;
};

Reactor::Reactor(const ReactorOptions& options)
    : thread_(std::this_thread::get_id()),
      waiting_(options.waiting),
      mechanism_(make_mechanism(options, ledger_, waiting_, warning_)),
      now_(mechanism_->now()),
      timers_(now_),
      allocations_before_(thread_counts.allocations),
      pulse_(options.pulse != nullptr ? *options.pulse : own_pulse_) {}

Reactor::~Reactor() {
    assert(in_flight_ == 0 && timers_.empty() && "what is in flight outlives its reactor");
    while (visitors_.load(std::memory_order_acquire) != 0) std::this_thread::yield();
}

Reactor::End Reactor::run() {
    check_thread();
    Reactor* const outer = std::exchange(current_, this);
    running_on_ = true;
    End end = End::stopped;
    while (!stop_requested_.exchange(false, std::memory_order_acquire)) {
        if (nothing_can_ever_run()) {
            end = End::deadlock;
            break;
        }
        expire_timers();
        mechanism_->flush();
        wait(true);
        collect();
        resume();
    }
    running_on_ = false;
    current_ = outer;
    return end;
}

bool Reactor::turn() {
    check_thread();
    Reactor* const outer = std::exchange(current_, this);
    const std::uint64_t events_before = ledger_.events;
    expire_timers();
    mechanism_->flush();
    wait(false);
    collect();
    const bool something = !ready_.empty();
    resume();
    current_ = outer;
    return something || ledger_.events != events_before;
}

void Reactor::stop() {
    const Visit visit(*this);
    stop_requested_.store(true, std::memory_order_seq_cst);
    wake_if_asleep();
}

// Without holds it may be that nothing can ever run again, which `run` has to report.
void Reactor::release_hold() {
    const Visit visit(*this);
    if (holds_.fetch_sub(1, std::memory_order_seq_cst) == 1) wake_if_asleep();
}

void Reactor::wake_if_asleep() {
    if (asleep_.load(std::memory_order_seq_cst) && asleep_.exchange(false, std::memory_order_seq_cst)) {
        mechanism_->wake();
    }
}

bool Reactor::submit(Operation& operation) {
    operation.run = &run_operation;
    operation.cancel_requested = operation.limited = false;
    const bool limited = operation.deadline != never;
    if (operation.kind == Operation::Kind::sleep) {
        operation.result = 0;
        operation.state = Operation::State::in_flight;
        if (operation.deadline <=
            now_) {  // behind all that is ready, which is what a sleep of nothing is for
            operation.state = Operation::State::ready;
            ready_.push(operation);
            return false;
        }
    } else {
        if (mechanism_->submit(operation)) {
            operation.state = Operation::State::idle;
            return true;
        }
        ++in_flight_;
    }
    if (limited || operation.armed()) arm(operation);
    return false;
}

void Reactor::arm(Operation& operation) {
    if (operation.armed()) {  // since it was in flight before
        --kept_timers_;
        const bool is_ahead = operation.filed > now_;  // else it is due, and would not be looked at anew
        if (is_ahead && operation.deadline >= operation.filed && operation.deadline != never) return;
        timers_.remove(operation);
    }
    if (operation.deadline != never) timers_.insert(operation);
}

void Reactor::disarm(Operation& operation) {
    operation.keeps_timer = false;
    if (operation.state != Operation::State::idle || !operation.armed()) return;
    timers_.remove(operation);
    --kept_timers_;
}

void Reactor::cancel(Operation& operation) {
    if (operation.state == Operation::State::idle || operation.cancel_requested) return;
    operation.cancel_requested = true;
    if (operation.state == Operation::State::ready) return;  // `finish` sees to it if it was too early
    if (operation.kind != Operation::Kind::sleep) {
        mechanism_->cancel(operation);
        return;
    }
    operation.result = -ECANCELED;
    operation.state = Operation::State::ready;
    ready_.push(operation);
}

void Reactor::withdraw(Operation& sleep) {
    if (sleep.armed()) timers_.remove(sleep);
    if (sleep.state == Operation::State::ready && !running_.remove(sleep)) ready_.remove(sleep);
    sleep.state = Operation::State::idle;
}

void Reactor::post(Job& job) {
    const Visit visit(*this);
    Job* newest = inbox_.load(std::memory_order_relaxed);
    do {
        job.next = newest;
    } while (
        !inbox_.compare_exchange_weak(newest, &job, std::memory_order_seq_cst, std::memory_order_relaxed));
    wake_if_asleep();
}

void Reactor::take_back(Job& job) {
    take_inbox();
    if (!running_.remove(job)) ready_.remove(job);
}

void Reactor::expire_timers() {
    timers_.expire(now_, [this](TimerNode& node) {
        auto& operation = static_cast<Operation&>(node);  // nothing else is ever in this wheel
        if (operation.state == Operation::State::idle) {
            --kept_timers_;
        } else if (operation.kind != Operation::Kind::sleep) {
            operation.limited = !operation.cancel_requested;
            cancel(operation);
        } else if (operation.state == Operation::State::in_flight) {
            operation.state = Operation::State::ready;
            ready_.push(operation);
        }
    });
}

void Reactor::wait(bool may_sleep) {
    Instant deadline = Instant::min();
    if (may_sleep && ready_.empty() && end_of_turn_.empty()) {
        deadline = timers_.next();
        if (!announce_sleep() || nothing_can_ever_run()) deadline = Instant::min();
    }
    mechanism_->wait(deadline, holds_.load(std::memory_order_relaxed) > 0);
    asleep_.store(false, std::memory_order_relaxed);
    now_ = mechanism_->now();
    ++ledger_.turns;
}

// False: somebody wants the reactor awake. Announce first and look second: whoever posts, stops or lets go
// does it the other way round, so that one of the two sees the other (Dekker).
bool Reactor::announce_sleep() {
    asleep_.store(true, std::memory_order_seq_cst);
    return inbox_.load(std::memory_order_seq_cst) == nullptr &&
           !stop_requested_.load(std::memory_order_seq_cst);
}

// True when the job that runs is all there is: no other, and nothing to wait for.
bool Reactor::is_alone() const {
    return running_on_ && running_.empty() && ready_.empty() && end_of_turn_.empty() &&
           !is_anything_timed() && in_flight_ == 0 && holds_.load(std::memory_order_relaxed) == 0;
}

// A turn of the loop for one operation alone: the same steps, without those that have nothing to do.
bool Reactor::call(Operation& operation) {
    beat();  // it is asleep, and held by nobody
    const bool over = announce_sleep() && mechanism_->wait_in(operation, now_);
    asleep_.store(false, std::memory_order_relaxed);
    beat();
    now_ = mechanism_->now();
    if (over) ++ledger_.events;
    return over;
}

void Reactor::collect() {
    mechanism_->collect(ready_);
    take_inbox();
}

void Reactor::take_inbox() {
    if (inbox_.load(std::memory_order_relaxed) == nullptr) return;
    Job* newest = inbox_.exchange(nullptr, std::memory_order_acquire);
    Job* oldest = nullptr;
    while (newest != nullptr) {
        Job* const next = std::exchange(newest->next, oldest);
        oldest = std::exchange(newest, next);
    }
    while (oldest != nullptr) {
        Job* const next = oldest->next;
        ready_.push(*oldest);
        oldest = next;
    }
}

// A round runs only what was ready when it began, and rounds and jobs are counted, so a turn ends however
// much its jobs make ready; and nothing runs while completions are collected, so no job sees a half-collected
// world and no stack grows with the load.
void Reactor::resume() {
    beat();
    int jobs = 0;
    for (int round = 0; !ready_.empty() && (round < rounds_per_turn || jobs < jobs_per_turn); ++round) {
        jobs += run_all(ready_);
    }
    run_all(end_of_turn_);
    beat();
    ledger_.allocations = thread_counts.allocations - allocations_before_;
    ledger_.frames_alive = thread_counts.frames_alive;
}

// Nobody else writes it.
void Reactor::beat() {
    pulse_.beats.store(pulse_.beats.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    pulse_.receives.store(ledger_.receives, std::memory_order_relaxed);
}

int Reactor::run_all(JobQueue& jobs) {
    int count = 0;
    running_.append(jobs);
    while (Job* const job = running_.pop()) {
        inline_calls_left_ = inline_calls_per_job;
        job->run(*job);
        ++count;
    }
    return count;
}

void Reactor::run_operation(Job& job) noexcept { current_->finish(static_cast<Operation&>(job)); }

void Reactor::finish(Operation& operation) {
    if (operation.kind != Operation::Kind::sleep) {
        if (!mechanism_->finish(operation)) {
            if (operation.cancel_requested) mechanism_->cancel(operation);
            return;
        }
        ++ledger_.events;
        --in_flight_;
    }
    if (operation.armed()) {
        operation.keeps_timer ? static_cast<void>(++kept_timers_) : timers_.remove(operation);
    }
    if (operation.result == -ECANCELED && operation.limited) operation.result = -ETIMEDOUT;
    operation.state = Operation::State::idle;
    operation.complete(operation);  // which may destroy it
}

Instant Reactor::next_due() const {
    const bool something_to_run =
        !ready_.empty() || !end_of_turn_.empty() || inbox_.load(std::memory_order_acquire) != nullptr;
    if (something_to_run) return Instant::min();
    return std::min(timers_.next(), in_flight_ == 0 ? never : mechanism_->next_completion());
}

bool Reactor::nothing_can_ever_run() const {
    return ready_.empty() && end_of_turn_.empty() && !is_anything_timed() &&
           (in_flight_ == 0 || mechanism_->next_completion() == never) &&
           holds_.load(std::memory_order_seq_cst) == 0 && inbox_.load(std::memory_order_seq_cst) == nullptr;
}

void Reactor::check_thread() const {
    if (!on_own_thread()) std::abort();  // a data race from here on, and no caller could go on
}

}  // namespace confab
