// Public: threads that work through what is submitted.
//
//     confab::thread_pool pool({.threads = 4});
//     const confab::future<std::string> page = pool.submit(fetch, "http://localhost/");
//     for (const int square : pool.map([](int n) { return n * n; }, std::views::iota(0, 100))) ...
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <limits>
#include <list>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "pools/annotated_mutex.hpp"
#include "pools/executor.hpp"
#include "pools/future.hpp"
#include "pools/sleepers.hpp"

namespace confab {

/// An executor (pools/executor.hpp) whose workers are threads of this process. Tasks begin in the order in
/// which they were submitted. Threads are started as tasks wait for one, up to `threads`, and stay. They
/// block all signals and are named NAME_0, NAME_1 and so on, cut to the 15 characters that Linux shows.
///
/// The queue has no bound of its own: whoever submits bounds it, as `imap` does. A submit allocates once, for
/// task and result together.
///
/// A task that waits for one of its own pool never waits in vain. One that has not begun is worked on right
/// there, by the waiting worker; one that waits, perhaps through others, for that very worker makes the wait
/// throw std::logic_error. (Within one pool; and not for waits with a time limit, which end anyway.)
///
/// The destructor waits for everything that was submitted. It and `join` must not be called from a task of
/// the pool.
class thread_pool : public executor_calls<thread_pool> {
  public:
    struct options {
        /// At most. Throws std::invalid_argument for 0.
        std::size_t threads = std::max(1U, std::thread::hardware_concurrency());
        std::string name = "pool";
        /// After so many tasks a thread ends and another takes its place; for tasks that leave something
        /// behind in their thread. Throws std::invalid_argument for 0.
        std::size_t max_tasks_per_thread = std::numeric_limits<std::size_t>::max();
        /// Is called first in each thread. When it throws, the pool is broken.
        std::function<void()> initializer = nullptr;
    };

    thread_pool() : thread_pool(options()) {}
    explicit thread_pool(options options);
    thread_pool(const thread_pool&) = delete;
    thread_pool& operator=(const thread_pool&) = delete;
    /// close() and join().
    ~thread_pool();

    /// As executor says. A function that takes a std::stop_token before its other arguments gets one: of
    /// `future::cancel` and `terminate`. Throws what copying the arguments throws, std::bad_alloc, and
    /// std::system_error when there is no thread and none can be started.
    template <class Prepare, class Function, class... Arguments>
    auto submit_prepared(Prepare&& prepare, Function&& function, Arguments&&... arguments);

    void close();
    void terminate();
    void join();
    void shutdown(shutdown_options how = {});

    std::size_t size() const { return options_.threads; }
    /// Threads there are now, working or idle.
    std::size_t thread_count() const;

  private:
    class Job;
    class Worker;
    template <class T, class Bound>
    class Task;
    using Workers = std::list<Worker>;

    /// Takes over one ownership of the job.
    void enqueue(Job& job);
    void start_worker() CONFAB_REQUIRES(mutex_);
    void serve(Workers::iterator self);
    bool initialize();
    void work(Worker& worker);
    Job* next_job(Worker& worker);
    void forget_job(Worker& worker);
    bool end(Workers::iterator self);
    void join_ended();
    Job* take_all() CONFAB_REQUIRES(mutex_);
    void cancel_pending();

    const options options_;
    mutable Mutex mutex_;
    Sleepers idle_;     // workers without a task; of mutex_
    Sleepers joiners_;  // of mutex_
    Job* first_ CONFAB_GUARDED_BY(mutex_) = nullptr;
    Job** last_ CONFAB_GUARDED_BY(mutex_) = &first_;
    std::size_t queued_ CONFAB_GUARDED_BY(mutex_) = 0;
    std::size_t idle_count_ CONFAB_GUARDED_BY(mutex_) = 0;
    Workers workers_ CONFAB_GUARDED_BY(mutex_);
    Workers ended_ CONFAB_GUARDED_BY(mutex_);  // to be joined
    bool closed_ CONFAB_GUARDED_BY(mutex_) = false;
    std::exception_ptr broken_ CONFAB_GUARDED_BY(mutex_);  // what an initializer threw
};

/// A task in the queue, or at work. It is part of the future's state.
class thread_pool::Job {
  public:
    virtual FutureState& state() = 0;
    /// Works, unless it was canceled or begun by another: false.
    virtual bool run(Worker& worker) noexcept = 0;

  protected:
    explicit Job(thread_pool& owner) : pool_(&owner) {}
    ~Job() = default;

    // Who asks (Worker::before_sleep) does so with the pool's mutex, which this worker takes before it
    // sleeps.
    void begun_by(Worker& worker) { worker_.store(&worker, std::memory_order_relaxed); }

  private:
    friend class thread_pool;
    friend class Worker;

    thread_pool* const pool_;
    Job* next_ = nullptr;
    std::atomic<Worker*> worker_ = nullptr;  // at work on it, from the begin on
};

template <class T, class Bound>
class thread_pool::Task final : public FutureValue<T>, public Job {
  public:
    Task(thread_pool& pool, Bound&& bound) : Job(pool), work_(std::move(bound)) {}

    FutureState& state() override { return *this; }

    bool run(Worker& worker) noexcept override {
        if (!this->begin()) return false;
        this->begun_by(worker);
        try {
            if constexpr (std::is_void_v<T>) {
                (*work_)(stop_);
                this->store();
            } else {
                this->store((*work_)(stop_));
            }
        } catch (...) {
            work_.reset();
            this->finish_with(std::current_exception());
            return true;
        }
        // What it held is free by the time that somebody can know of the result.
        work_.reset();
        this->finish_with_value();
        return true;
    }

  private:
    bool request_stop() noexcept override {
        if constexpr (Bound::takes_stop_token) {
            stop_.request_stop();
            return true;
        } else {
            return false;
        }
    }

    std::optional<Bound> work_;
    [[no_unique_address]] Bound::Stop stop_;
};

namespace thread_pool_detail {

/// A function and its arguments, to be called once.
template <class Function, class... Arguments>
class BoundCall {
  public:
    static constexpr bool takes_stop_token = std::is_invocable_v<Function, std::stop_token, Arguments...>;
    struct NoStop {};
    using Stop = std::conditional_t<takes_stop_token, std::stop_source, NoStop>;

    template <class F, class... A>
    explicit BoundCall(F&& function, A&&... arguments)
        : function_(std::forward<F>(function)), arguments_(std::forward<A>(arguments)...) {}

    decltype(auto) operator()([[maybe_unused]] const Stop& stop) {
        return std::apply(
            [&](Arguments&... arguments) -> decltype(auto) {
                if constexpr (takes_stop_token) {
                    return std::invoke(std::move(function_), stop.get_token(), std::move(arguments)...);
                } else {
                    return std::invoke(std::move(function_), std::move(arguments)...);
                }
            },
            arguments_);
    }

  private:
    Function function_;
    std::tuple<Arguments...> arguments_;
};

}  // namespace thread_pool_detail

template <class Prepare, class Function, class... Arguments>
auto thread_pool::submit_prepared(Prepare&& prepare, Function&& function, Arguments&&... arguments) {
    using Bound = thread_pool_detail::BoundCall<std::decay_t<Function>, std::decay_t<Arguments>...>;
    using T = std::remove_cvref_t<std::invoke_result_t<Bound&, const typename Bound::Stop&>>;
    auto* const task = new Task<T, Bound>(
        *this, Bound(std::forward<Function>(function), std::forward<Arguments>(arguments)...));
    future<T> result(task);
    std::forward<Prepare>(prepare)(std::as_const(result));
    task->retain();
    enqueue(*task);
    return result;
}

static_assert(executor<thread_pool>);

}  // namespace confab
