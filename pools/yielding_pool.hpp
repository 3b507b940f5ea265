// Public: threads that share out their time among tasks by a policy.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <unordered_map>
#include <vector>

#include "pools/annotated_mutex.hpp"
#include "pools/future.hpp"
#include "pools/scheduling.hpp"
#include "pools/sleepers.hpp"

namespace confab {

/// What a step says of its task.
enum class step : std::uint8_t { again, done };

/// Works on many tasks in turns. A task is a function that does a step of its work and gives `again`, and is
/// called again until it gives `done`; between steps it yields, so a step should be short. A
/// scheduling_policy says whose turn it is, counting steps: with round_robin(8) a task does eight steps, then
/// the next one does.
///
///     yielding_pool pool(std::make_unique<feedback_queues>(doubling(8, 3)));
///     const future<void> counted = pool.submit([n = 0]() mutable { return ++n == 1000 ? step::done :
///     step::again; });
///
/// Any thread may submit, steps included. A task that throws is over, and its future has the exception. One
/// that is canceled is over before its next step: its future is canceled if it had not begun, else throws
/// future_canceled.
class yielding_pool {
  public:
    /// Starts `threads` threads. Throws std::invalid_argument for 0, std::system_error when they cannot be
    /// started.
    explicit yielding_pool(std::unique_ptr<scheduling_policy> policy, std::size_t threads = 1);
    yielding_pool(const yielding_pool&) = delete;
    yielding_pool& operator=(const yielding_pool&) = delete;
    /// close() and join().
    ~yielding_pool();

    /// `expected_steps`: for policies that want to know. Throws std::logic_error when closed, and
    /// std::bad_alloc.
    future<void> submit(std::function<step()> task, ticks expected_steps = 0);

    /// Nothing is submitted any more; what was, is worked on to its end. Twice: no effect.
    void close();
    /// Waits until all is done and the threads have ended. Throws std::logic_error unless closed before. Not
    /// from a step, and by one thread.
    void join();

  private:
    struct Task;

    void serve();
    bool work(Task& task, ready_job& job, ticks slice);
    bool must_make_room(const ready_job& job);

    Mutex mutex_;
    Sleepers idle_;  // of mutex_
    const std::unique_ptr<scheduling_policy> policy_ CONFAB_PT_GUARDED_BY(mutex_);
    std::unordered_map<std::size_t, std::unique_ptr<Task>> tasks_
        CONFAB_GUARDED_BY(mutex_);  // not over, by id
    std::size_t next_id_ CONFAB_GUARDED_BY(mutex_) = 0;
    bool closed_ CONFAB_GUARDED_BY(mutex_) = false;
    std::atomic<std::uint64_t> added_ = 0;  // changes when must_make_room should be asked
    std::vector<std::thread> threads_;
};

}  // namespace confab
