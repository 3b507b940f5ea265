#include "pools/yielding_pool.hpp"

#include <exception>
#include <optional>
#include <stdexcept>
#include <utility>

#include "pools/signals_blocked.hpp"

namespace confab {

struct yielding_pool::Task {
    std::function<step()> function;
    promise<void> result = {};
    std::stop_token stop = result.get_stop_token();
    bool has_begun = false;
};

yielding_pool::yielding_pool(std::unique_ptr<scheduling_policy> policy, std::size_t threads)
    : policy_(std::move(policy)) {
    if (threads == 0) throw std::invalid_argument("a pool without threads would never do anything");
    const SignalsBlocked quiet;
    try {
        while (threads_.size() < threads) threads_.emplace_back([this] { serve(); });
    } catch (...) {
        close();
        join();
        throw;
    }
}

yielding_pool::~yielding_pool() {
    close();
    join();
}

future<void> yielding_pool::submit(std::function<step()> task, ticks expected_steps) {
    auto added = std::make_unique<Task>(Task{.function = std::move(task)});
    const future<void> result = added->result.get_future();
    MutexLock lock(mutex_);
    if (closed_) throw std::logic_error("the pool is closed: nothing can be submitted any more");
    const std::size_t id = next_id_++;
    tasks_.emplace(id, std::move(added));
    policy_->add({.id = id, .expected_left = expected_steps});
    ++added_;
    const std::uint32_t claims = idle_.claim(1);
    lock.unlock();
    idle_.wake(claims);
    return result;
}

void yielding_pool::close() {
    MutexLock lock(mutex_);
    closed_ = true;
    const std::uint32_t claims = idle_.claim_all();
    lock.unlock();
    idle_.wake(claims);
}

void yielding_pool::join() {
    {
        const MutexLock lock(mutex_);
        if (!closed_) throw std::logic_error("join would wait for ever: close the pool first");
    }
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
}

void yielding_pool::serve() {
    MutexLock lock(mutex_);
    while (true) {
        std::optional<ready_job> job = policy_->next();
        for (Sleepers::Wait wait(idle_, never); !job; job = policy_->next()) {
            // Others work on the rest, and what they put back they take again themselves.
            if (closed_) return;
            wait.go_on(lock);
        }
        Task& task = *tasks_.at(job->id);
        const ticks slice = policy_->slice(*job);
        lock.unlock();
        const bool is_over = work(task, *job, slice);
        lock.lock();
        if (is_over) {
            tasks_.erase(job->id);
        } else {
            policy_->put_back(*job);
        }
    }
}

// False: the slice is over, or the task has to make room.
bool yielding_pool::work(Task& task, ready_job& job, ticks slice) {
    if (!task.has_begun && !task.result.begin()) return true;
    task.has_begun = true;
    // What the function held is free when somebody can know that it is over.
    try {
        for (std::uint64_t known = added_; slice > 0; --slice) {
            if (task.stop.stop_requested()) throw future_canceled();
            if (task.function() == step::done) {
                task.function = nullptr;
                task.result.set_value();
                return true;
            }
            ++job.used;
            if (job.expected_left > 0) --job.expected_left;
            if (const std::uint64_t added = added_;
                added != std::exchange(known, added) && must_make_room(job))
                break;
        }
        return false;
    } catch (...) {
        task.function = nullptr;
        task.result.set_exception(std::current_exception());
        return true;
    }
}

bool yielding_pool::must_make_room(const ready_job& job) {
    const MutexLock lock(mutex_);
    return policy_->must_make_room(job);
}

}  // namespace confab
