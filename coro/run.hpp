// Public: from ordinary code into tasks.
#pragma once

#include <source_location>
#include <stdexcept>
#include <string>

#include "coro/scope.hpp"
#include "reactor/reactor.hpp"

namespace confab {

/// Nothing could ever run again: every task waited for another. `what()` holds the task tree of that moment.
class deadlock_error : public std::logic_error {
  public:
    using std::logic_error::logic_error;
};

/// Runs `reactor` until the root scope is empty. On a deadlock it writes the task tree to stderr, asks all
/// tasks to stop, and throws deadlock_error once they have ended.
void run_until_joined(Reactor& reactor, scope& root);

/// Runs `main`, and all that it starts, on `reactor` until it has ended; its result, or what it threw. Throws
/// deadlock_error. From ordinary code only, on the reactor's thread.
template <class T>
T run(Reactor& reactor, task<T> main, const char* name = "main",
      std::source_location origin = std::source_location::current()) {
    scope root(reactor, OnFailure::ignore);
    child<T> work = root.spawn(std::move(main), name, origin);
    run_until_joined(reactor, root);
    if (work.failed()) std::rethrow_exception(work.exception());
    if (work.canceled()) throw task_canceled(work.base().stop_reason());
    return work.take();
}

}  // namespace confab
