// Public: processes that work through what is submitted.
//
//     int main() {
//         confab::process_pool pool({.processes = 4});       // before the first thread
//         const confab::future<double> area = pool.submit(integrate, 0.0, 1.0);
//         const std::vector<int> squares = pool.map([](int n) { return n * n; }, std::views::iota(0, 100));
#pragma once

#include <sys/types.h>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <limits>
#include <memory>
#include <span>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "pools/annotated_mutex.hpp"
#include "pools/executor.hpp"
#include "pools/future.hpp"
#include "pools/processes/exit_status.hpp"
#include "pools/processes/launcher.hpp"
#include "pools/processes/mailbox.hpp"
#include "pools/remote_call.hpp"
#include "pools/thread_pool.hpp"

namespace confab {

/// A task's worker ended before the task did: it was killed, crashed, or called exit.
class worker_died : public std::runtime_error {
  public:
    explicit worker_died(processes::exit_status status)
        : std::runtime_error("the process that worked on the task has ended: " + status.text()),
          status_(status) {}

    processes::exit_status status() const { return status_; }

  private:
    processes::exit_status status_;
};

/// A task threw, in its process. Of the exception comes here what can be told of it.
class remote_error : public std::runtime_error {
  public:
    remote_error(std::string type, const std::string& what)
        : std::runtime_error(type + ": " + what), type_(std::move(type)), remote_what_(what) {}

    /// As C++ spells it: "std::out_of_range".
    const std::string& type() const { return type_; }
    /// What its what() said; empty when it was no std::exception.
    const std::string& remote_what() const { return remote_what_; }

  private:
    std::string type_;
    std::string remote_what_;
};

/// An executor (pools/executor.hpp) whose workers are processes: what goes wrong in one, goes wrong there. A
/// task is an ordinary function or a lambda without captures; arguments and results are carried
/// (pools/serialise.hpp, without descriptors), so what a task changes in memory is its process's own. What
/// cannot be carried does not compile.
///
/// A worker that dies fails the task that it was at with `worker_died`, and nothing else: others run on, and
/// another worker takes its place. A task that it had not looked at yet goes to that one.
///
/// Each worker process has a thread here, which takes tasks from the queue, hands them over in shared memory
/// and completes their futures: there is no dispatcher between. Both come on demand, up to `processes`. Tasks
/// begin in the order in which they were submitted. Workers are started by a launcher, so they begin in the
/// state that the program had when that was made; they ignore SIGINT.
///
/// A task that takes a std::stop_token first is asked to stop by `future::cancel` and `terminate` (by SIGTERM
/// to its worker, which then ends after the task). `terminate` kills workers at once: their tasks fail with
/// worker_died.
///
/// The destructor waits for everything that was submitted. Threads: any.
class process_pool : public executor_calls<process_pool> {
  public:
    struct options {
        /// At most. Throws std::invalid_argument for 0.
        std::size_t processes = std::max(1U, std::thread::hardware_concurrency());
        std::string name = "worker";
        /// After so many tasks a process ends and another takes its place; for tasks that leak. Throws
        /// std::invalid_argument for 0.
        std::size_t max_tasks_per_worker = std::numeric_limits<std::size_t>::max();
        /// Is called first in each process. When it throws, or the process dies of it, the pool is broken.
        void (*initializer)() = nullptr;
    };

    process_pool() : process_pool(options()) {}
    /// With a launcher of its own, so: before the first thread. Throws what launcher() throws.
    explicit process_pool(options options);
    /// With one that is there, which must outlive it.
    process_pool(processes::launcher& launcher, options options);
    process_pool(const process_pool&) = delete;
    process_pool& operator=(const process_pool&) = delete;
    /// close() and join().
    ~process_pool();

    /// As executor says. Throws what carrying the arguments throws, and what thread_pool::submit does.
    template <class Prepare, class Function, class... Arguments>
    auto submit_prepared(Prepare&& prepare, Function&& function, Arguments&&... arguments);

    void close() { threads_.close(); }
    void terminate();
    void join() { threads_.join(); }
    void shutdown(shutdown_options how = {}) { threads_.shutdown(how); }

    std::size_t size() const { return threads_.size(); }
    /// The processes there are now, working or idle.
    std::vector<pid_t> worker_pids() const;

  private:
    class Worker;
    friend class Worker;

    process_pool(std::unique_ptr<processes::launcher> own, processes::launcher* launcher, options options);

    /// What `thread_pool` runs for a task.
    template <class T, bool takes_stop>
    struct Errand;

    /// On a thread of the pool: has the task done by its worker, and gives the result's bytes, good until the
    /// next.
    std::span<const std::byte> have_done(const processes::TaskEntry& entry,
                                         std::span<const std::byte> request, const std::stop_token& stop);
    Worker& worker_of_this_thread();

    const std::unique_ptr<processes::launcher> own_launcher_;  // null: it is another's
    processes::launcher& launcher_;
    const options options_;
    mutable Mutex mutex_;
    std::vector<Worker*> workers_ CONFAB_GUARDED_BY(mutex_);
    bool terminated_ CONFAB_GUARDED_BY(mutex_) = false;
    thread_pool threads_;  // ends first: each of its threads owns one of the workers
};

template <class T, bool takes_stop>
struct process_pool::Errand {
    process_pool* pool;
    const processes::TaskEntry* entry;
    std::vector<std::byte> request;

    T operator()()
        requires(!takes_stop)
    {
        return run({});
    }
    T operator()(const std::stop_token& stop)
        requires takes_stop
    {
        return run(stop);
    }

    T run(const std::stop_token& stop) {
        const std::span<const std::byte> result = pool->have_done(*entry, request, stop);
        if constexpr (!std::is_void_v<T>) return from_bytes<T>(result);
    }
};

template <class Prepare, class Function, class... Arguments>
auto process_pool::submit_prepared(Prepare&& prepare, Function&& function, Arguments&&... arguments) {
    static_assert(
        remote_function<Function, Arguments...>,
        "the function or an argument cannot be carried to another process: see pools/serialise.hpp");
    using Call = RemoteCall<Function, Arguments...>;
    using T = std::remove_cvref_t<typename Call::Result>;
    static constexpr processes::TaskEntry entry{
        .run = [](byte_reader& archive, const std::stop_token& stop, byte_writer& result) {
            if constexpr (std::is_void_v<T>) {
                Call::run(archive, stop);
            } else {
                static_assert(serialisable<T>, "the result cannot be carried back: see pools/serialise.hpp");
                const T value = Call::run(archive, stop);
                serialise(result, value);
            }
        }};
    Errand<T, Call::takes_stop> errand{.pool = this, .entry = &entry, .request = {}};
    byte_writer archive(errand.request);
    Call::pack(archive, function, arguments...);
    return threads_.submit_prepared(std::forward<Prepare>(prepare), std::move(errand));
}

/// How the functions of `starmap` are carried.
template <class Function, class Tuple>
void save(byte_writer& archive, const executor_detail::Applied<Function, Tuple>& applied) {
    serialise(archive, applied.function);
}
template <class Function, class Tuple>
void load(byte_reader& archive, executor_detail::Applied<Function, Tuple>& applied) {
    applied.function = deserialise<Function>(archive);
}

static_assert(executor<process_pool>);

}  // namespace confab
