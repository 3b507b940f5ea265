// Public: processes that wait for each other, in memory they share.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <stdexcept>

#include "pools/basic_barrier.hpp"
#include "pools/processes/identity.hpp"
#include "pools/processes/mutex.hpp"

namespace confab::processes {

namespace detail {
// The processes that take part: who has waited once, or was enrolled. If one of them ends, in whatever way,
// those who wait notice within life_check_interval, and it is broken until reset() clears the list.
class barrier_roll {
  public:
    using Lock = mutex;
    static constexpr FutexScope scope = FutexScope::processes;
    static constexpr std::ptrdiff_t most_parties = 128;

    static bool recover(Lock& lock) {
        if (!lock.previous_owner_died()) return false;
        lock.recovered();
        return true;
    }
    static Instant next_look() { return after(Clock::now(), life_check_interval); }
    void enroll_this() { enroll(identity::mine()); }
    void enroll(const identity& who) {
        const auto known = members_.begin() + static_cast<std::ptrdiff_t>(count_);
        if (std::find(members_.begin(), known, who) != known) return;
        if (count_ == members_.size())
            throw std::logic_error("more processes at a barrier than it has room for");
        members_[count_++] = who;
    }
    bool somebody_died() const {
        return !std::all_of(members_.begin(), members_.begin() + static_cast<std::ptrdiff_t>(count_),
                            [](const identity& member) { return member.alive(); });
    }
    void clear() { count_ = 0; }

  private:
    std::array<identity, most_parties> members_ = {};
    std::size_t count_ = 0;
};
}  // namespace detail

/// For 128 parties at most. A process that has not come yet is known to nobody: so that its death is noticed,
/// enroll it, `barrier.enroll(identity::mine())` as the first thing it does or `enroll(*identity::of(pid))`
/// by who has started it.
using barrier = basic_barrier<detail::barrier_roll>;

}  // namespace confab::processes
