#include "pools/thread_pool.hpp"

#include <pthread.h>

#include <algorithm>
#include <stdexcept>
#include <system_error>

#include "pools/signals_blocked.hpp"

namespace confab {

namespace {

constexpr std::size_t longest_name = 15;  // of a thread, in Linux

}  // namespace

/// A thread of the pool; and, for the tasks on it, what keeps them from waiting in vain.
class thread_pool::Worker final : public FutureState::Guide {
  public:
    Worker(thread_pool& pool, std::size_t number) : pool_(pool), number_(number) {}

    bool work_on(FutureState& awaited) override {
        auto* const work = dynamic_cast<Job*>(&awaited);
        // The queue keeps its ownership: whoever comes to it there finds it begun.
        return work != nullptr && work->pool_ == &pool_ && work->run(*this);
    }

    void before_sleep(FutureState& awaited) override {
        const MutexLock lock(pool_.mutex_);
        // Who works on that, what does he wait for, who works on that? A worker that has begun stays in the
        // list until its task is over, and leaves under the mutex.
        for (FutureState* wanted = &awaited; wanted != nullptr && !wanted->is_over();) {
            const auto* const work = dynamic_cast<Job*>(wanted);
            if (work == nullptr || work->pool_ != &pool_) break;
            const Worker* const worker = work->worker_.load();
            if (worker == this) {
                throw std::logic_error("the task waits for a result that comes after its own end: for ever");
            }
            wanted = worker == nullptr ? nullptr : worker->awaited_;
        }
        awaited_ = &awaited;
    }

    void after_sleep() noexcept override {
        const MutexLock lock(pool_.mutex_);
        awaited_ = nullptr;
    }

    const thread_pool& pool() const { return pool_; }
    std::size_t number() const { return number_; }

    std::thread thread;
    Job* job = nullptr;  // at work on it; of the pool's mutex

  private:
    thread_pool& pool_;
    const std::size_t number_;
    FutureState* awaited_ = nullptr;  // of the pool's mutex
};

thread_pool::thread_pool(options options) : options_(std::move(options)) {
    if (options_.threads == 0) throw std::invalid_argument("a pool without threads would never do anything");
    if (options_.max_tasks_per_thread == 0) {
        throw std::invalid_argument("threads that end after no task would never do anything");
    }
}

thread_pool::~thread_pool() {
    close();
    join();
}

void thread_pool::enqueue(Job& job) {
    std::uint32_t claims = 0;
    std::exception_ptr refusal;
    {
        MutexLock lock(mutex_);
        if (broken_ || closed_) {
            refusal = broken_ ? broken_
                              : std::make_exception_ptr(std::logic_error(
                                    "the pool is closed: nothing can be submitted any more"));
        } else {
            *last_ = &job;
            last_ = &job.next_;
            ++queued_;
            if (queued_ <= idle_count_) {
                claims = idle_.claim(1);
            } else if (workers_.size() < options_.threads) {
                try {
                    start_worker();
                } catch (const std::system_error&) {
                    // Those there are will see to it. If there are none:
                    if (workers_.empty()) {
                        refusal = std::current_exception();
                        static_cast<void>(take_all());
                    }
                }
            }
        }
    }
    idle_.wake(claims);
    if (refusal == nullptr) return;
    job.state().release();
    std::rethrow_exception(refusal);
}

void thread_pool::start_worker() {
    std::size_t number = 0;
    while (std::ranges::find(workers_, number, &Worker::number) != workers_.end()) ++number;
    const auto self = workers_.emplace(workers_.end(), *this, number);
    try {
        const SignalsBlocked quiet;
        self->thread = std::thread([this, self] { serve(self); });
    } catch (...) {
        workers_.erase(self);
        throw;
    }
}

void thread_pool::serve(Workers::iterator self) {
    const std::string name = options_.name + '_' + std::to_string(self->number());
    pthread_setname_np(pthread_self(), name.substr(0, longest_name).c_str());
    FutureState::Guide::of_this_thread = &*self;
    join_ended();
    const bool is_ready = initialize();
    do {
        if (is_ready) work(*self);
    } while (!end(self));
}

// Those whose place somebody has taken, or nobody will. Not under the mutex: thread-local objects of theirs
// may still be about to die.
void thread_pool::join_ended() {
    Workers ended;
    {
        const MutexLock lock(mutex_);
        ended.swap(ended_);
    }
    for (Worker& worker : ended) worker.thread.join();
}

bool thread_pool::initialize() {
    if (!options_.initializer) return true;
    try {
        options_.initializer();
        return true;
    } catch (...) {
        const std::exception_ptr reason = std::make_exception_ptr(broken_pool());
        Job* jobs = nullptr;
        {
            const MutexLock lock(mutex_);
            broken_ = reason;
            jobs = take_all();
        }
        while (jobs != nullptr) {
            Job* const job = std::exchange(jobs, jobs->next_);
            if (job->state().begin()) job->state().finish_with(reason);
            job->state().release();
        }
        return false;
    }
}

// Until there is no more to do, or so many tasks are done as a thread may do.
void thread_pool::work(Worker& worker) {
    for (std::size_t done = 0; done < options_.max_tasks_per_thread; ++done) {
        Job* const job = next_job(worker);
        if (job == nullptr) return;
        static_cast<void>(job->run(worker));
    }
    forget_job(worker);
}

// The job before is only let go with the mutex taken anyway: `terminate` may be looking at it. Null: it is
// time to end.
thread_pool::Job* thread_pool::next_job(Worker& worker) {
    MutexLock lock(mutex_);
    if (first_ == nullptr && worker.job != nullptr) {
        // This may take a while, and nobody shall wait for the end of a result that he has given up.
        lock.unlock();
        forget_job(worker);
        lock.lock();
    }
    for (Sleepers::Wait wait(idle_, never); first_ == nullptr;) {
        if (closed_ || broken_) return nullptr;
        ++idle_count_;
        wait.go_on(lock);
        --idle_count_;
    }
    Job* const job = first_;
    first_ = job->next_;
    if (first_ == nullptr) last_ = &first_;
    --queued_;
    Job* const before = std::exchange(worker.job, job);
    lock.unlock();
    if (before != nullptr) before->state().release();
    return job;
}

void thread_pool::forget_job(Worker& worker) {
    Job* before = nullptr;
    {
        const MutexLock lock(mutex_);
        before = std::exchange(worker.job, nullptr);
    }
    if (before != nullptr) before->state().release();
}

// False: there is work, and no thread can be started in the place of this one.
bool thread_pool::end(Workers::iterator self) {
    MutexLock lock(mutex_);
    ended_.splice(ended_.end(), workers_, self);
    if (queued_ > idle_count_) {
        try {
            start_worker();
        } catch (const std::system_error&) {
            workers_.splice(workers_.end(), ended_, self);
            return false;
        }
    }
    const std::uint32_t claims = workers_.empty() ? joiners_.claim_all() : 0;
    lock.unlock();
    joiners_.wake(claims);
    return true;
}

thread_pool::Job* thread_pool::take_all() {
    last_ = &first_;
    queued_ = 0;
    return std::exchange(first_, nullptr);
}

void thread_pool::close() {
    MutexLock lock(mutex_);
    closed_ = true;
    const std::uint32_t claims = idle_.claim_all();
    lock.unlock();
    idle_.wake(claims);
}

void thread_pool::cancel_pending() {
    Job* jobs = nullptr;
    {
        const MutexLock lock(mutex_);
        jobs = take_all();
    }
    // Not under the mutex: callbacks are called.
    while (jobs != nullptr) {
        Job* const job = std::exchange(jobs, jobs->next_);
        job->state().cancel();
        job->state().release();
    }
}

void thread_pool::terminate() {
    close();
    cancel_pending();
    std::vector<FutureState*> running;
    {
        const MutexLock lock(mutex_);
        for (const Worker& worker : workers_) {
            if (worker.job == nullptr) continue;
            running.push_back(&worker.job->state());
            running.back()->retain();
        }
    }
    for (FutureState* const state : running) {
        state->cancel();
        state->release();
    }
}

void thread_pool::join() {
    if (const auto* const worker = dynamic_cast<Worker*>(FutureState::Guide::of_this_thread);
        worker != nullptr && &worker->pool() == this) {
        throw std::logic_error("a task of the pool would wait for its own end: join from another thread");
    }
    {
        MutexLock lock(mutex_);
        if (!closed_) throw std::logic_error("join would wait for ever: close or terminate the pool first");
        for (Sleepers::Wait wait(joiners_, never); !workers_.empty();) wait.go_on(lock);
    }
    join_ended();
}

void thread_pool::shutdown(shutdown_options how) {
    close();
    if (how.cancel_pending) cancel_pending();
    if (how.wait) join();
}

std::size_t thread_pool::thread_count() const {
    const MutexLock lock(mutex_);
    return workers_.size();
}

}  // namespace confab
