// Public: permits that tasks take and give back.
#pragma once

#include <cstddef>
#include <source_location>
#include <stdexcept>

#include "coro/wait_list.hpp"

namespace confab {

/// Counts permits. They are handed over in order of arrival: a permit that is given back goes to the one that
/// has waited longest. Reactor's thread only; nobody may wait when it dies.
class semaphore {
  public:
    class Acquire;

    static constexpr std::ptrdiff_t unbounded = PTRDIFF_MAX;

    /// Begins with `permits`. With a `bound`, there may never be more than that. Throws std::invalid_argument
    /// when `permits` is negative or over the bound.
    explicit semaphore(std::ptrdiff_t permits, std::ptrdiff_t bound = unbounded)
        : available_(permits), bound_(bound) {
        if (permits < 0 || permits > bound) throw std::invalid_argument("a semaphore begins with 0 to bound");
    }

    std::ptrdiff_t available() const { return available_; }

    /// Waits for a permit and takes it. Throws task_canceled, without a permit.
    [[nodiscard]] Acquire acquire(std::source_location where = std::source_location::current());

    /// The same, for `limit` at most; gives whether it was had in time. Zero or less only tries.
    [[nodiscard]] WaitList::Limited<Acquire> acquire_for(
        Duration limit, std::source_location where = std::source_location::current());

    /// Takes a permit if there is one. Never waits, so a task that was asked to stop may try, too.
    [[nodiscard]] bool try_acquire() {
        if (available_ == 0) return false;
        --available_;
        return true;
    }

    /// Gives back `permits` (zero: no effect). Throws std::logic_error, and changes nothing, when that is
    /// more than the bound allows, or negative.
    void release(std::ptrdiff_t permits = 1) {
        if (permits < 0 || permits > bound_ - available_)
            throw std::logic_error("more permits given back than the semaphore has");
        while (permits > 0 && waiters_.wake_one()) --permits;
        available_ += permits;
    }

  private:
    WaitList waiters_;  // empty unless available_ is 0
    std::ptrdiff_t available_;
    const std::ptrdiff_t bound_;
};

class [[nodiscard]] semaphore::Acquire : public WaitList::Awaiter {
  public:
    Acquire(semaphore& wanted, std::source_location where)
        : Awaiter(wanted.waiters_, kind, false, where), semaphore_(wanted) {}
    bool await_ready() noexcept { return !must_stop() && semaphore_.try_acquire() && grant(); }

  private:
    static constexpr WaitKind kind = WaitList::kind("semaphore");
    semaphore& semaphore_;
};

inline semaphore::Acquire semaphore::acquire(std::source_location where) { return Acquire(*this, where); }

inline WaitList::Limited<semaphore::Acquire> semaphore::acquire_for(Duration limit,
                                                                    std::source_location where) {
    return WaitList::Limited<Acquire>(limit, *this, where);
}

}  // namespace confab
