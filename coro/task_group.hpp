// Public: a bounded number of tasks at a time.
#pragma once

#include <cstddef>
#include <optional>
#include <source_location>
#include <stdexcept>
#include <utility>

#include "coro/scope.hpp"
#include "coro/wait_list.hpp"

namespace confab {

/// A scope of at most `size` tasks at a time: spawning waits while it is full. In the order of those who
/// wait, each gets the place of a task that has gone. A group of size 0 is always full.
///
/// Like a scope, it must be joined before it dies. Reactor's thread only.
class task_group : scope::Watcher {
  public:
    template <class T>
    class Spawn;
    class Empty;

    /// Throws std::invalid_argument when `size` is negative.
    explicit task_group(std::ptrdiff_t size, OnFailure on_failure = OnFailure::ignore);
    task_group(const task_group&) = delete;
    task_group& operator=(const task_group&) = delete;
    ~task_group();

    /// `child<T> started = co_await group.spawn(body)`: waits for a free place and starts `body`. Throws
    /// task_canceled; the body then never was.
    template <class T>
    [[nodiscard]] Spawn<T> spawn(task<T> body, const char* name = "",
                                 std::source_location where = std::source_location::current()) {
        return Spawn<T>(*this, std::move(body), name, where);
    }
    /// The same, for `limit` at most; an empty child says that the group was full for so long. Zero or less
    /// only tries.
    template <class T>
    [[nodiscard]] WaitList::Limited<Spawn<T>> spawn_for(
        Duration limit, task<T> body, const char* name = "",
        std::source_location where = std::source_location::current()) {
        return WaitList::Limited<Spawn<T>>(limit, *this, std::move(body), name, where);
    }
    /// Starts `body` if there is a free place; else the child is empty and `body` is left as it was.
    template <class T>
    [[nodiscard]] child<T> try_spawn(task<T>&& body, const char* name = "",
                                     std::source_location where = std::source_location::current()) {
        if (free_ == 0) return {};
        --free_;
        return start(std::move(body), name, where);
    }

    /// Runs `body` in the group and gives its result. Within a task of the group, or of a task of one, it
    /// runs right there, in that one's place: so nested calls work in a group of 1.
    template <class T>
    task<T> apply(task<T> body, const char* name = "",
                  std::source_location where = std::source_location::current()) {
        if (contains_current()) co_return co_await std::move(body);
        const child<T> work = co_await spawn(std::move(body), name, where);
        co_return co_await work.get();
    }

    /// Waits until no task is left; see scope::join.
    [[nodiscard]] auto join(std::source_location where = std::source_location::current()) {
        return tasks_.join(where);
    }
    /// Waits until no task is left, for `limit` at most; gives whether none is. Asks no task to stop. Zero or
    /// less only looks. Throws task_canceled.
    [[nodiscard]] WaitList::Limited<Empty> join_for(
        Duration limit, std::source_location where = std::source_location::current());

    /// See scope::request_stop.
    void request_stop(StopReason reason = StopReason::canceled) { tasks_.request_stop(reason); }

    /// Places that are free now.
    std::size_t free_count() const { return free_; }
    std::size_t size() const { return tasks_.size(); }
    bool full() const { return free_ == 0; }

    /// True within a task of the group, and within one that such a task owns.
    bool contains_current() const;

  private:
    template <class T>
    child<T> start(task<T> body, const char* name, std::source_location where);
    static void task_gone(scope::Watcher& watcher) noexcept;

    scope tasks_;
    WaitList spawners_;  // empty unless full
    WaitList joiners_;
    std::size_t free_;
};

template <class T>
class [[nodiscard]] task_group::Spawn : public WaitList::Awaiter {
  public:
    Spawn(task_group& group, task<T> body, const char* name, std::source_location where)
        : Awaiter(group.spawners_, kind, false, where), group_(group), body_(std::move(body)), name_(name) {}
    bool await_ready() noexcept {
        if (must_stop() || group_.full()) return false;
        --group_.free_;
        return grant();
    }
    child<T> await_resume() {
        if (!succeeded()) return {};
        return group_.start(std::move(body_), name_, where);
    }

  private:
    static constexpr WaitKind kind = WaitList::kind("place in a group");

    task_group& group_;
    task<T> body_;
    const char* name_;
};

class [[nodiscard]] task_group::Empty : public WaitList::Awaiter {
  public:
    Empty(task_group& group, std::source_location where)
        : Awaiter(group.joiners_, kind, false, where), group_(group) {}
    bool await_ready() noexcept { return group_.size() == 0 && grant(); }

  private:
    static constexpr WaitKind kind = WaitList::kind("join");

    task_group& group_;
};

inline WaitList::Limited<task_group::Empty> task_group::join_for(Duration limit, std::source_location where) {
    return WaitList::Limited<Empty>(limit, *this, where);
}

// In a place that was taken before.
template <class T>
child<T> task_group::start(task<T> body, const char* name, std::source_location where) {
    try {
        return tasks_.spawn(std::move(body), name, where);
    } catch (...) {
        task_gone(*this);
        throw;
    }
}

}  // namespace confab
