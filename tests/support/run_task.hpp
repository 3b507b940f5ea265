// Internal to tests: a task, run to its end on a reactor of its own.
#pragma once

#include <utility>

#include "coro/run.hpp"

namespace confab {

/// Gives the task's result or throws what it threw; see confab::run.
template <class T>
T run_task(task<T> body) {
    Reactor reactor(ReactorOptions{});
    return run(reactor, std::move(body));
}

}  // namespace confab
