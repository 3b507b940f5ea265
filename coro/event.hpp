// Public: a flag that tasks wait for.
#pragma once

#include <source_location>

#include "coro/wait_list.hpp"

namespace confab {

/// Unset until `set`, set until `clear`. Reactor's thread only; nobody may wait when it dies. Lifetimes:
/// docs/lifetimes.md.
class event {
  public:
    explicit event(bool is_set = false) : set_(is_set) {}

    bool is_set() const { return set_; }

    /// Sets the flag and wakes all that wait. They go on even if it is cleared before they run.
    void set() {
        set_ = true;
        waiters_.wake_all();
    }
    void clear() { set_ = false; }

    class Wait;

    /// Waits until the flag is set. Throws task_canceled.
    [[nodiscard]] Wait wait(std::source_location where = std::source_location::current());

    /// The same, for `limit` at most; gives whether it was set in time. Zero or less only looks.
    [[nodiscard]] WaitList::Limited<Wait> wait_for(
        Duration limit, std::source_location where = std::source_location::current());

  private:
    bool set_;
    WaitList waiters_;
};

class [[nodiscard]] event::Wait : public WaitList::Awaiter {
  public:
    Wait(event& awaited, std::source_location where)
        : Awaiter(awaited.waiters_, kind, false, where), event_(awaited) {}
    bool await_ready() noexcept { return event_.set_ && !must_stop() && grant(); }

  private:
    static constexpr WaitKind kind = WaitList::kind("event");
    event& event_;
};

inline event::Wait event::wait(std::source_location where) { return Wait(*this, where); }

inline WaitList::Limited<event::Wait> event::wait_for(Duration limit, std::source_location where) {
    return WaitList::Limited<Wait>(limit, *this, where);
}

}  // namespace confab
