// Public: which process, beyond doubt.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

namespace confab::processes {

/// A process by its number and the time it was started, since numbers are given out again. Plain data: it may
/// lie in shared memory, where zeros are nobody. Numbers mean the same only within one PID namespace, and so
/// does this. Any thread.
struct identity {
    std::int32_t pid = 0;
    std::uint64_t started = 0;  // clock ticks since the machine was booted

    /// This process. Cheap: worked out once in each process, after a fork anew. Throws std::system_error when
    /// /proc cannot be read.
    static identity mine();

    /// The process that has this number now; nothing when there is none, or only its remains. Throws
    /// std::system_error when /proc cannot be read.
    static std::optional<identity> of(std::int32_t pid);

    /// Whether it still runs. False for a zombie, and for another process that got its number. Costs a look
    /// into /proc, some ten microseconds; where that is not possible (no descriptors left), a process is
    /// taken for alive as long as its number is in use.
    bool alive() const noexcept;

    /// False for nobody.
    explicit operator bool() const { return pid != 0; }
    friend bool operator==(const identity&, const identity&) = default;
};

/// How often a wait that depends on somebody's life looks whether he lives, and so how long a death can go
/// unnoticed there. Death itself wakes nobody: a futex knows nothing of it.
inline constexpr auto life_check_interval = std::chrono::milliseconds(100);

}  // namespace confab::processes
