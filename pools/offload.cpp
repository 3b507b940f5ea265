#include "pools/offload.hpp"

#include <system_error>
#include <utility>

#include "pools/signals_blocked.hpp"

namespace confab {

namespace {

void join_all(std::list<std::thread>& threads) {
    for (std::thread& thread : threads) thread.join();
}

}  // namespace

Offload& Offload::process() {
    static Offload pool;
    return pool;
}

Offload::~Offload() {
    Threads all;
    {
        const MutexLock lock(mutex_);
        closing_ = true;
        changed_.notify_all();
    }
    // A thread that ends moves itself to `ended_`; none is started any more.
    while (true) {
        {
            MutexLock lock(mutex_);
            while (!threads_.empty() && ended_.empty()) changed_.wait(lock);
            all.splice(all.end(), ended_);
            if (threads_.empty()) break;
        }
    }
    join_all(all);
}

void Offload::submit(Work& work) {
    Threads to_join;
    {
        const MutexLock lock(mutex_);
        to_join.swap(ended_);
        work.next = nullptr;
        *last_ = &work;
        last_ = &work.next;
        ++queued_;
        if (queued_ <= idle_) {
            changed_.notify_one();
        } else if (threads_.size() < options_.max_threads) {
            try {
                start_thread();
            } catch (const std::system_error&) {
                // Those there are will see to it. If there are none:
                if (threads_.empty()) {
                    unlink(work);
                    throw;
                }
            }
        }
    }
    join_all(to_join);
}

bool Offload::withdraw(Work& work) {
    const MutexLock lock(mutex_);
    return unlink(work);
}

std::size_t Offload::thread_count() const {
    const MutexLock lock(mutex_);
    return threads_.size();
}

void Offload::start_thread() {
    const SignalsBlocked quiet;
    const auto self = threads_.emplace(threads_.end());
    try {
        *self = std::thread([this, self] { serve(self); });
    } catch (...) {
        threads_.erase(self);
        throw;
    }
}

void Offload::serve(Threads::iterator self) {
    MutexLock lock(mutex_);
    while (Work* const work = next_work(lock)) {
        lock.unlock();
        work->run(*work);
        lock.lock();
    }
    ended_.splice(ended_.end(), threads_, self);
    if (closing_) changed_.notify_all();
}

// Null: it is time to end.
Offload::Work* Offload::next_work(MutexLock& lock) {
    const auto deadline = std::chrono::steady_clock::now() + options_.idle_time;
    while (first_ == nullptr) {
        if (closing_) return nullptr;
        ++idle_;
        const std::cv_status status = changed_.wait_until(lock, deadline);
        --idle_;
        if (status == std::cv_status::timeout && first_ == nullptr) return nullptr;
    }
    Work* const work = first_;
    unlink(*work);
    return work;
}

bool Offload::unlink(Work& work) {
    for (Work** link = &first_; *link != nullptr; link = &(*link)->next) {
        if (*link != &work) continue;
        *link = work.next;
        if (work.next == nullptr) last_ = link;
        --queued_;
        return true;
    }
    return false;
}

}  // namespace confab
