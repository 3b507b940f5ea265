// Public: several tasks at once, as they end.
#pragma once

#include <cstddef>
#include <optional>
#include <ranges>
#include <source_location>
#include <utility>

#include "coro/child.hpp"
#include "coro/wait_list.hpp"
#include "reactor/block_cache.hpp"

namespace confab {

/// What any number of `completions` have in common.
class CompletionSet {
  public:
    CompletionSet() = default;
    CompletionSet(const CompletionSet&) = delete;
    CompletionSet& operator=(const CompletionSet&) = delete;
    ~CompletionSet();

    /// Tasks that were added and that `next` has not given yet.
    std::size_t size() const { return running_ + over_; }
    /// Those of them that are over.
    std::size_t ready() const { return over_; }

  protected:
    struct Entry : ChildLink {
        Entry(CompletionSet& owner, ChildBase& watched);
        static void child_over(ChildLink& link) noexcept;

        CompletionSet& set;
        any_child child;
        Entry* next_entry = nullptr;      // among all, or among those over
        Entry* previous_entry = nullptr;  // among all
    };

    /// Waits until one is over, or none is left.
    class Wait : public WaitList::Awaiter {
      public:
        Wait(CompletionSet& awaited, std::source_location where)
            : Awaiter(awaited.waiters_, kind, false, where), set_(awaited) {}
        bool await_ready() noexcept {
            return (set_.over_ > 0 || set_.running_ == 0) && !must_stop() && grant();
        }

      protected:
        CompletionSet& set_;

      private:
        static constexpr WaitKind kind = WaitList::kind("tasks");
    };

    void add_child(ChildBase& child);
    /// Takes out the one that ended first. Requires: ready() > 0.
    any_child take_first();

  private:
    void discard(Entry* entry);

    Entry* running_entries_ = nullptr;
    Entry* first_over_ = nullptr;
    Entry** last_over_ = &first_over_;
    std::size_t running_ = 0;
    std::size_t over_ = 0;
    WaitList waiters_;
};

/// Gives tasks in the order in which they end. Watching changes nothing about a task; once it was given, or
/// this has died, nothing of the watching is left on it. One task at a time waits. Reactor's thread only.
///
///     completions<child<int>> results;
///     for (...) results.add(tasks.spawn(...));
///     while (results.size() > 0) {
///         const std::optional<child<int>> result = co_await results.next();
///
/// Adding takes a block of the block cache.
template <class Child>
class completions : public CompletionSet {
  public:
    completions() = default;
    template <std::ranges::input_range Children>
    explicit completions(const Children& children) {
        for (const Child& each : children) add(each);
    }

    /// Adds a task, which may be over already, or in here already (it is then given twice).
    void add(const Child& child) { add_child(child.base()); }

    class Next : public Wait {
      public:
        using Wait::Wait;
        std::optional<Child> await_resume() {
            if (!this->succeeded() || this->set_.ready() == 0) return std::nullopt;
            return Child(static_cast<completions&>(this->set_).take_first().base());
        }
    };

    /// Waits for the next task to end, or gives the oldest that has; nothing when none is left. Throws
    /// task_canceled.
    [[nodiscard]] Next next(std::source_location where = std::source_location::current()) {
        return Next(*this, where);
    }
    /// The same, for `limit` at most. Zero or less only looks.
    [[nodiscard]] WaitList::Limited<Next> next_for(
        Duration limit, std::source_location where = std::source_location::current()) {
        return WaitList::Limited<Next>(limit, *this, where);
    }

  private:
    friend class Next;
};

/// `completions` of `children`, a range of `child`.
template <std::ranges::input_range Children>
auto as_completed(const Children& children) {
    return completions<std::ranges::range_value_t<Children>>(children);
}

}  // namespace confab
