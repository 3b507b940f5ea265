// Public: processes, as easy to start as threads.
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <chrono>
#include <concepts>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "pools/clock.hpp"
#include "pools/fd.hpp"
#include "pools/processes/exit_status.hpp"
#include "pools/processes/process_body.hpp"

namespace confab::processes {

class ProcessRecord;

/// What happens to a process whose parent dies before it.
enum class orphan : std::uint8_t {
    killed,  ///< it dies in the same moment, by SIGKILL
    told,    ///< it gets SIGTERM: its stop_token is triggered; without one it ends by that signal
};

struct process_options {
    /// Empty: "process-1", "process-2", ...; in a child of one: "process-1:1". Shown by `ps -o comm`, cut to
    /// 15 bytes.
    std::string name = {};
    /// A daemon is told to stop when its handle dies or its parent ends; any other is waited for. Default:
    /// what the process is that makes it.
    std::optional<bool> daemon = std::nullopt;
    orphan when_orphaned = orphan::killed;
};

/// How long a daemon that is told to stop is waited for before it is killed.
inline constexpr auto daemon_grace = std::chrono::seconds(1);

/// How often a child that was asked to stop has the system call interrupted in which its main thread blocks.
inline constexpr auto stop_reminder = std::chrono::milliseconds(50);

/// A child process: a function that runs in a copy of this one's memory. What it changes there, this one does
/// not see; use shared memory, a channel or a pipe.
///
///     process child([](std::stop_token stop) { while (!stop.stop_requested()) work(); });
///     child.start();
///     child.terminate();                    // SIGTERM, which triggers the token
///     child.join();                         // child.exitcode() == 0
///
/// A handle, shaped like std::jthread: move-only; it joins when it dies; there is no detach. It stands on a
/// pidfd, so it never means another process that got the same number.
///
/// *Starting forks*, and a fork takes along no thread but its own: locks that another held would stay locked
/// for ever in the child. So `start` works only while the program has one thread, the main one; programs with
/// threads start processes through a `launcher`. (The library's own thread that reaps children ends before
/// each fork.) The child has copies of all descriptors that are open. What was moved into the function, such
/// as an end of a pipe, is destroyed in the parent by `start`.
///
/// *In the child* the function runs, then the hooks (atexit) that the child itself has set, never those of
/// its parent, and standard streams are flushed, both of C and C++. The exit code is 0, or what the function
/// returns if that is int, or that of a call of std::exit; an exception that nobody catches is printed on
/// stderr, and the code is 1. Handlers that the parent had for signals are gone, except for those of faults
/// (SIGSEGV and the like); all signals are let in.
///
/// *Asking it to stop*: SIGTERM and SIGINT request a stop, if the function takes a std::stop_token first or
/// is a runnable; else they end the process. The request is made on a thread of the library's, which runs
/// stop callbacks. From then on a system call that blocks the main thread returns EINTR, after
/// `stop_reminder` at most and again each time, until the function has returned: who loops until the token is
/// triggered gets to see it. SIGKILL asks nobody.
///
/// *No zombies*: a thread of the library's reaps children as soon as they end. *No orphans*: a child dies
/// with its parent, however that ends (see `orphan`), and so do the child's children. When the parent ends
/// normally, daemons are told to stop and all others are waited for. Processes that a child starts by other
/// means than these are its own business.
///
/// Threads: any one may use a started process, several at once too, but for moving and destroying it. Only
/// the process that made a handle can use it: in a forked copy all but the destructor throws
/// std::logic_error. So does whatever needs a process that has been started, before that.
class process {
  public:
    /// No process.
    process() noexcept;

    /// Will run `function(arguments...)`, or `function(stop_token, arguments...)` if it takes that. They are
    /// copied or moved to a place of their own, as with std::jthread. Nothing is started yet.
    template <class Function, class... Arguments>
        requires process_function<Function, Arguments...>
    explicit process(Function&& function, Arguments&&... arguments)
        : process(process_options{}, std::forward<Function>(function),
                  std::forward<Arguments>(arguments)...) {}

    /// The same, with a name or other options: process({.name = "reader"}, function).
    template <class Function, class... Arguments>
        requires process_function<Function, Arguments...>
    process(process_options options, Function&& function, Arguments&&... arguments)
        : process(std::move(options),
                  std::make_unique<ProcessCall<std::decay_t<Function>, std::decay_t<Arguments>...>>(
                      std::forward<Function>(function), std::forward<Arguments>(arguments)...)) {}

    /// Will call `work.run`.
    template <std::derived_from<runnable> Work>
    explicit process(Work work) : process(process_options{}, std::move(work)) {}
    template <std::derived_from<runnable> Work>
    process(process_options options, Work work)
        : process(std::move(options), std::make_unique<ProcessRun>(std::make_unique<Work>(std::move(work)))) {
    }

    /// Moved from, a handle has no process.
    process(process&& other) noexcept;
    /// First does to its process what the destructor does.
    process& operator=(process&& other) noexcept;
    /// If the process was started: joins it, or, if it is a daemon, stops it with `daemon_grace`. In a copy
    /// of the memory, in another process, has no effect.
    ~process();

    /// Starts it. Throws std::logic_error when it was started before, there is nothing to run, or the program
    /// has other threads or this one is not the main one; std::system_error when the system refuses.
    void start();

    /// Waits until it has ended. Signals do not shorten that.
    void join();
    /// The same, for `limit` at most, and gives whether it has ended. Zero or less only looks.
    bool join_for(Duration limit);
    bool join_until(Instant deadline);

    /// Sends SIGTERM, SIGKILL, or any other signal. No effect on a process that has ended.
    void terminate() { send_signal(SIGTERM); }
    void kill() { send_signal(SIGKILL); }
    void send_signal(int number);

    /// Terminates it, waits for `grace` at most, then kills it; returns when it has ended.
    exit_status stop(Duration grace);

    /// True from start until it has ended; false before.
    bool alive() const;
    /// How it ended; nothing before that.
    std::optional<exit_status> status() const;
    /// exit_status::exitcode of that: the code, or -N for signal N.
    std::optional<int> exitcode() const;

    /// Nothing before the start.
    std::optional<pid_t> pid() const;
    /// A descriptor that is readable once the process has ended, for poll, epoll or `wait`. It belongs to
    /// this object.
    int sentinel() const;

    const std::string& name() const { return options_.name; }
    /// What `all` shows from now on; a process that runs does not learn of it.
    void set_name(std::string name);
    bool daemon() const { return *options_.daemon; }
    /// Throws std::logic_error when it was started before.
    void set_daemon(bool daemon);

  private:
    friend class launcher;

    process(process_options options, std::unique_ptr<ProcessBody> body);
    process(process_options options, std::shared_ptr<ProcessRecord> record);
    ProcessRecord& record() const;
    void let_go() noexcept;

    process_options options_;
    std::unique_ptr<ProcessBody> body_;      // until the start
    std::shared_ptr<ProcessRecord> record_;  // from then on
};

/// What is known about a process without a handle of it.
struct process_info {
    pid_t pid;
    std::string name;
    bool daemon;
};

/// The children of this process that were started here and live. Any thread.
std::vector<process_info> all();

/// This process. One that was not started here is called "main" and is no daemon. Any thread.
process_info current();

/// The one that started this process. Any thread.
class parent_process {
  public:
    parent_process(pid_t pid, std::string name, Fd sentinel)
        : pid_(pid), name_(std::move(name)), sentinel_(std::move(sentinel)) {}

    pid_t pid() const { return pid_; }
    const std::string& name() const { return name_; }
    bool alive() const { return !join_until(Instant::min()); }
    /// Waits until it has ended, as an `orphan::told` child can.
    void join() const { join_until(never); }
    bool join_for(Duration limit) const { return join_until(deadline_in(limit)); }
    bool join_until(Instant deadline) const;
    /// Readable once it has ended.
    int sentinel() const { return sentinel_.get(); }

  private:
    pid_t pid_;
    std::string name_;
    Fd sentinel_;
};

/// Null in a process that was not started here. Valid for ever. Any thread.
const parent_process* parent();

}  // namespace confab::processes
