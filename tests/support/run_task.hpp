// Internal to tests: a task, run to its end on a reactor of its own.
#pragma once

#include <utility>

#include "coro/run.hpp"
#include "reactor/simulated.hpp"

namespace confab {

/// Gives the task's result or throws what it threw; see confab::run. Its clock is virtual: an hour passes in
/// no time, and only when nothing else is left to do.
template <class T>
T run_task(task<T> body) {
    SimulatedNetwork network;
    ReactorOptions options;
    options.waiting = Waiting::simulated;
    options.network = &network;
    Reactor reactor(options);
    return run(reactor, std::move(body));
}

/// The same on the kernel's clock, for tasks that other threads have a part in.
template <class T>
T run_task_in_real_time(task<T> body) {
    Reactor reactor(ReactorOptions{});
    return run(reactor, std::move(body));
}

}  // namespace confab
