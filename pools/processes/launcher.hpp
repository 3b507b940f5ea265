// Public: processes for programs that have threads.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <functional>
#include <memory>
#include <stop_token>
#include <type_traits>
#include <utility>
#include <vector>

#include "pools/processes/process.hpp"
#include "pools/remote_call.hpp"

namespace confab::processes {

/// What a launched process calls, the same at the same address in all processes of a program.
struct LaunchEntry {
    int (*run)(byte_reader& arguments, const std::stop_token& stop);
    bool takes_stop;
};

/// How long processes that are told of the program's death (`orphan::told`) have until they are killed.
inline constexpr auto orphan_grace = std::chrono::milliseconds(500);

/// A process that starts others, forked off while the program has one thread; later the program may have as
/// many as it likes, and start processes from any of them.
///
///     int main() {
///         processes::launcher launcher;                   // before the first thread
///         ...
///         processes::process child = launcher.start({.name = "parser"}, parse, path, std::move(sender));
///
/// What it starts begins in the state that the program had when the launcher was made. So the function is an
/// ordinary one (or a lambda without captures), found at the same address there: one from a library that was
/// loaded later is not there, and the child dies of that. Its arguments are carried (pools/serialise.hpp);
/// what does not survive that does not compile. Ends of pipes and shared memory can be arguments, too: moved
/// in, they are gone here.
///
/// The handle is the same as of any process, and so is what goes on in the child: see `process`. Its parent
/// is the program. When the program dies, however, the launcher kills all processes that it has started, and
/// all that those have started in any way, within `orphan_grace`. When the launcher dies first, its processes
/// die with it, handles say that their status is unknown, and `start` throws.
///
/// Threads: any. The first start begins a thread that hears from the launcher. It outlives the handles of its
/// processes, or they are killed: its destructor kills what still runs.
class launcher {
  public:
    /// Throws std::logic_error when the program has other threads or this one is not the main one,
    /// std::system_error when the system refuses.
    launcher();
    launcher(const launcher&) = delete;
    launcher& operator=(const launcher&) = delete;
    ~launcher();

    /// Starts a process that runs `function(arguments...)`, or `function(stop_token, arguments...)` if it
    /// takes that, and gives its handle. The function returns void or the exit code. Throws std::system_error
    /// when the system refuses, with ECHILD when the launcher is dead.
    template <class Function, class... Arguments>
        requires remote_function<Function, Arguments...>
    process start(process_options options, Function&& function, Arguments&&... arguments) {
        return start_watched(std::move(options), nullptr, std::forward<Function>(function),
                             std::forward<Arguments>(arguments)...);
    }
    template <class Function, class... Arguments>
        requires remote_function<Function, Arguments...>
    process start(Function&& function, Arguments&&... arguments) {
        return start_watched({}, nullptr, std::forward<Function>(function),
                             std::forward<Arguments>(arguments)...);
    }

    /// The same, and calls `on_end` when it has ended: once, on the thread that hears from the launcher,
    /// perhaps before this returns. It must neither block nor throw.
    template <class Function, class... Arguments>
        requires remote_function<Function, Arguments...>
    process start_watched(process_options options, std::move_only_function<void(exit_status)> on_end,
                          Function&& function, Arguments&&... arguments) {
        using Call = RemoteCall<Function, Arguments...>;
        static_assert(std::is_void_v<typename Call::Result> || std::same_as<typename Call::Result, int>,
                      "only an exit code comes back from a process: return void, or int as from main");
        static constexpr LaunchEntry entry{
            .run = [](byte_reader& archive, const std::stop_token& stop) -> int {
                if constexpr (std::is_void_v<typename Call::Result>) {
                    Call::run(archive, stop);
                    return 0;
                } else {
                    return Call::run(archive, stop);
                }
            },
            .takes_stop = Call::takes_stop};
        std::vector<std::byte> bytes;
        std::vector<int> descriptors;
        byte_writer archive(bytes, &descriptors);
        Call::pack(archive, function, arguments...);
        process started = launch(std::move(options), entry, bytes, descriptors, std::move(on_end));
        // What was moved in is gone here, as with a fork.
        (drop(std::forward<Arguments>(arguments)), ...);
        return started;
    }

    /// The launcher's own.
    pid_t pid() const;
    bool alive() const;

  private:
    class Link;

    template <class Argument>
    static void drop(Argument&& argument) {
        if constexpr (!std::is_lvalue_reference_v<Argument> && std::is_move_constructible_v<Argument>) {
            [[maybe_unused]] const auto dropped = std::forward<Argument>(argument);
        }
    }
    process launch(process_options options, const LaunchEntry& entry, std::vector<std::byte>& arguments,
                   const std::vector<int>& descriptors, std::move_only_function<void(exit_status)> on_end);

    std::unique_ptr<Link> link_;
};

}  // namespace confab::processes
