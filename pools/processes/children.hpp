// Internal to pools: the processes that this one has started, and the thread that looks after them.
#pragma once

#include <atomic>
#include <memory>
#include <stop_token>
#include <thread>
#include <vector>

#include "pools/annotated_mutex.hpp"
#include "pools/fd.hpp"
#include "pools/processes/process_record.hpp"

namespace confab::processes {

/// One a process; a forked child begins with an empty one, and without the descriptors of the old one.
///
/// Its thread reaps children when they end, and requests a stop when a signal asked for it. It lives only
/// while there is something to look after, and never during a fork: `rest` joins it.
class Children {
  public:
    static Children& of_this_process();

    Children(const Children&) = delete;
    Children& operator=(const Children&) = delete;
    ~Children() = delete;  // it is there until the process is gone

    /// Ends the thread, so that this process can fork. Other threads: none may be about to start a process.
    void rest();
    /// Starts the thread again if there is something for it to do. Throws std::system_error.
    void work();

    /// Takes in a child, which is reaped from the next `work` on. Throws std::system_error.
    void add(const std::shared_ptr<DirectChild>& child);
    /// Takes in a process that another one reaps.
    void add_remote(std::shared_ptr<ProcessRecord> process);

    /// Those that live, of both kinds.
    std::vector<std::shared_ptr<ProcessRecord>> living();

    /// From the next `work` on, SIGTERM and SIGINT trigger `stop`. Throws std::system_error.
    void serve_stop(std::stop_source stop);

    /// The normal end of this process: daemons are stopped, the others waited for.
    void finish() noexcept;

  private:
    Children();

    void watch();
    void reap(int pidfd);
    void watch_descriptor(int descriptor);
    bool has_work() CONFAB_REQUIRES(mutex_);
    static void finish(const std::vector<std::shared_ptr<ProcessRecord>>& records);

    static void before_fork();
    static void after_fork_in_parent();
    static void after_fork_in_child();

    Mutex mutex_;
    std::vector<std::shared_ptr<ProcessRecord>> direct_ CONFAB_GUARDED_BY(mutex_);  // not reaped yet
    std::vector<std::shared_ptr<ProcessRecord>> remote_ CONFAB_GUARDED_BY(mutex_);

    Fd epoll_;  // the pidfds of direct children, wake_ and the eventfd of stop signals
    Fd wake_;   // an eventfd: the thread shall end
    std::stop_source stop_source_{std::nostopstate};  // of this process itself, if it serves one
    Fd stop_signal_;                                  // an eventfd that the handler writes to

    Mutex thread_mutex_;  // taken before mutex_
    std::thread thread_ CONFAB_GUARDED_BY(thread_mutex_);
    std::atomic<bool> watching_ = false;  // false: thread_ has ended or is about to without touching anything
};

}  // namespace confab::processes
