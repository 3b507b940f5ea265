// Public: threads that have a name, can be counted, and stop when asked.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <concepts>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "pools/clock.hpp"
#include "pools/runnable.hpp"

namespace confab::threads {

class ThreadRecord;

struct thread_options {
    /// Empty: "thread-1", "thread-2", ... Shown by `ps -L -o comm`, cut to 15 bytes.
    std::string name = {};
    bool daemon = false;
};

/// How long the end of the program waits for daemon threads that it has asked to stop.
inline constexpr auto daemon_patience = std::chrono::seconds(1);

/// A thread, as std::jthread but for what it lacks: a name, a start apart from the making, joins with a time
/// limit, a list of all, and daemons.
///
///     thread reader({.name = "reader"}, [](std::stop_token stop) { while (!stop.stop_requested()) read();
///     }); reader.start();
///     ...
///     reader.join_for(1s);
///
/// When its handle dies, a thread is asked to stop and joined. A *daemon* is asked to stop and left alone:
/// from then on it must own whatever it uses. No thread of C++ can be ended from outside, daemon or not. So
/// at the normal end of the program (an exit hook, set when the first daemon starts) daemons are asked again
/// and waited for, for `daemon_patience`; one that still runs then goes on until the kernel ends the process,
/// and meanwhile objects with static lifetime are destroyed: to use one of them is undefined. What must be
/// finished belongs into a joined thread.
///
/// An exception that nobody catches is printed on stderr, and ends its thread only.
///
/// In the child of a fork there is but the thread that forked; `all` knows that, and a handle of another must
/// not be used there.
///
/// Threads: any one may use a started thread, several at once too, but for moving and destroying it. What
/// needs a thread that has been started throws std::logic_error before that.
class thread {
  public:
    /// No thread.
    thread() noexcept = default;

    /// Will run `function(arguments...)`, or `function(stop_token, arguments...)` if it takes that, on copies
    /// as std::jthread makes them. What it returns is dropped. Nothing is started yet.
    template <class Function, class... Arguments>
        requires(std::is_invocable_v<std::decay_t<Function>, std::stop_token, std::decay_t<Arguments>...> ||
                 std::is_invocable_v<std::decay_t<Function>, std::decay_t<Arguments>...>)
    explicit thread(Function&& function, Arguments&&... arguments)
        : thread(thread_options{}, std::forward<Function>(function), std::forward<Arguments>(arguments)...) {}

    /// The same, with a name or as a daemon: thread({.name = "reader"}, function).
    template <class Function, class... Arguments>
        requires(std::is_invocable_v<std::decay_t<Function>, std::stop_token, std::decay_t<Arguments>...> ||
                 std::is_invocable_v<std::decay_t<Function>, std::decay_t<Arguments>...>)
    thread(thread_options options, Function&& function, Arguments&&... arguments)
        : thread(std::move(options),
                 bind(std::forward<Function>(function), std::forward<Arguments>(arguments)...)) {}

    /// Will call `work.run`.
    template <std::derived_from<runnable> Work>
    explicit thread(Work work) : thread(thread_options{}, std::move(work)) {}
    template <std::derived_from<runnable> Work>
    thread(thread_options options, Work work)
        : thread(std::move(options),
                 [work = std::move(work)](std::stop_token stop) mutable { work.run(std::move(stop)); }) {}

    /// Moved from, a handle has no thread.
    thread(thread&& other) noexcept = default;
    /// First does to its thread what the destructor does.
    thread& operator=(thread&& other) noexcept;
    /// If the thread was started: asks it to stop, and joins it unless it is a daemon.
    ~thread();

    /// Starts it. Throws std::logic_error when it was started before or there is nothing to run;
    /// std::system_error when the system refuses.
    void start();

    /// Waits until it has ended. Throws std::logic_error in the thread itself.
    void join();
    /// The same, for `limit` at most, and gives whether it has ended. Zero or less only looks.
    bool join_for(Duration limit);
    bool join_until(Instant deadline);

    /// Triggers its token. False: it was triggered before.
    bool request_stop();
    std::stop_token stop_token() const;

    /// True from start until it has ended; false before.
    bool alive() const;
    /// The kernel's number of it (gettid); 0 before the start.
    pid_t id() const;

    /// Empty for no thread.
    std::string name() const;
    bool daemon() const;
    /// Throws std::logic_error when it was started before.
    void set_daemon(bool daemon);

  private:
    template <class Function, class... Arguments>
    static std::move_only_function<void(std::stop_token)> bind(Function&& function,
                                                               Arguments&&... arguments) {
        if constexpr (std::is_invocable_v<std::decay_t<Function>, std::stop_token,
                                          std::decay_t<Arguments>...>) {
            return [function = std::decay_t<Function>(std::forward<Function>(function)),
                    ... arguments = std::decay_t<Arguments>(std::forward<Arguments>(arguments))](
                       const std::stop_token& stop) mutable {
                std::invoke(std::move(function), stop, std::move(arguments)...);
            };
        } else {
            return [function = std::decay_t<Function>(std::forward<Function>(function)),
                    ... arguments = std::decay_t<Arguments>(std::forward<Arguments>(arguments))](
                       const std::stop_token&) mutable {
                std::invoke(std::move(function), std::move(arguments)...);
            };
        }
    }

    thread(thread_options options, std::move_only_function<void(std::stop_token)> work);
    ThreadRecord& record() const;
    ThreadRecord& started() const;
    void let_go() noexcept;

    std::shared_ptr<ThreadRecord> record_;
};

/// What is known about a thread without a handle of it.
struct thread_info {
    pid_t id;
    std::string name;
    bool daemon;
};

/// The main thread and those that were started here and run. Any thread.
std::vector<thread_info> all();

/// The thread that asks. Any thread.
thread_info current();

}  // namespace confab::threads
