// Public: helper threads for calls that block.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <list>
#include <thread>

#include "pools/annotated_mutex.hpp"

namespace confab {

/// Runs pieces of work on threads that come with need, up to a bound, and go when they have been idle for a
/// while. First come, first begun. The threads block all signals.
///
/// The queue is a chain through the pieces of work themselves, so the pool holds no memory that grows with
/// it: whoever submits bounds it. Any thread may use it.
class Offload {
  public:
    struct Options {
        /// Threads at most. They are for calls that wait (for a disk, a name server, a lock), not for
        /// computing, so there may be many more than processors; each costs a stack, 8 MiB of address space.
        std::size_t max_threads = 32;
        /// After being idle for that long a thread ends.
        std::chrono::milliseconds idle_time = std::chrono::seconds(10);
    };

    /// A piece of work. It must stay where it is until `run` is called, which may destroy it, or until it was
    /// withdrawn.
    struct Work {
        using Run = void (*)(Work&) noexcept;
        explicit Work(Run function) : run(function) {}

        Work* next = nullptr;
        Run run;
    };

    /// Starts no thread yet.
    Offload() : Offload(Options{}) {}
    explicit Offload(const Options& options) : options_(options) {}
    Offload(const Offload&) = delete;
    Offload& operator=(const Offload&) = delete;
    /// Waits until all work that was submitted has run and all threads have ended.
    ~Offload();

    /// The pool of the process: made when first asked for (after any fork), its threads joined when the
    /// process exits.
    static Offload& process();

    /// Runs `work` on a thread of the pool soon. Throws std::system_error when there is no thread and none
    /// can be started; `work` is then with the caller.
    void submit(Work& work);

    /// Takes back a piece of work that has not begun. False: it has. Linear in what is queued.
    bool withdraw(Work& work);

    /// Threads there are now, running work or idle.
    std::size_t thread_count() const;

  private:
    using Threads = std::list<std::thread>;

    void start_thread() CONFAB_REQUIRES(mutex_);
    void serve(Threads::iterator self);
    Work* next_work(MutexLock& lock) CONFAB_REQUIRES(mutex_);
    bool unlink(Work& work) CONFAB_REQUIRES(mutex_);

    const Options options_;
    mutable Mutex mutex_;
    std::condition_variable_any changed_;
    Work* first_ CONFAB_GUARDED_BY(mutex_) = nullptr;
    Work** last_ CONFAB_GUARDED_BY(mutex_) = &first_;
    std::size_t queued_ CONFAB_GUARDED_BY(mutex_) = 0;
    std::size_t idle_ CONFAB_GUARDED_BY(mutex_) = 0;
    Threads threads_ CONFAB_GUARDED_BY(mutex_);
    Threads ended_ CONFAB_GUARDED_BY(mutex_);  // to be joined
    bool closing_ CONFAB_GUARDED_BY(mutex_) = false;
};

}  // namespace confab
