// Internal to pools: the fork itself, and what a process does from there on.
#pragma once

#include <sys/types.h>

#include <string>
#include <utility>

#include "pools/fd.hpp"
#include "pools/processes/process.hpp"
#include "pools/processes/process_body.hpp"

namespace confab::processes {

/// What a child shall know of itself and of the one that started it.
struct ChildPlan {
    std::string name;
    bool daemon;
    orphan when_orphaned;
    process_info parent;
    Fd parent_sentinel;  // a pidfd; the child's copy becomes its own
};

/// A child that has been forked and waits to be let live. Dying before that, this object takes it along.
///
/// The wait is what makes a handle sure of its process: it has a pidfd and is known to whoever reaps before
/// the child does anything.
class ForkedChild {
  public:
    /// Forks; in the child, `body` runs and the constructor does not return. Requires: a single thread, see
    /// require_single_thread. Throws std::system_error.
    ForkedChild(ChildPlan& plan, ProcessBody& body);
    ForkedChild(const ForkedChild&) = delete;
    ForkedChild& operator=(const ForkedChild&) = delete;
    ~ForkedChild();

    pid_t pid() const { return pid_; }
    /// Once. Requires: the child is reaped by somebody else from here on.
    Fd take_pidfd() { return std::move(pidfd_); }
    void let_live() noexcept;

  private:
    void take_along() noexcept;

    Fd gate_;  // an eventfd; empty once the child was let live
    Fd pidfd_;
    pid_t pid_;
};

/// Throws std::logic_error, with the way out, unless this is the main thread and the only one. Threads that
/// are past their last instruction do not count.
void require_single_thread();

/// A pidfd, close-on-exec. Throws std::system_error.
Fd open_pidfd(pid_t pid);

/// The name for a nameless child of this process.
std::string next_child_name();

}  // namespace confab::processes
