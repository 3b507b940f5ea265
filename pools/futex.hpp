// Public: sleeping until a word in memory changes (futex(2)), the ground that the locks stand on.
#pragma once

#include <time.h>

#include <atomic>
#include <cstdint>
#include <limits>
#include <stop_token>

#include "pools/clock.hpp"

namespace confab {

/// A word to sleep on. It may lie in memory that processes share.
using FutexWord = std::atomic<std::uint32_t>;
static_assert(sizeof(FutexWord) == sizeof(std::uint32_t) && FutexWord::is_always_lock_free);

/// Who sleeps on a word and wakes others: both sides must say the same.
enum class FutexScope {
    threads,    // of one process: the kernel looks the word up by its address, which is quicker
    processes,  // that have mapped the same memory, perhaps at different addresses
};

inline constexpr std::uint32_t wake_all = std::numeric_limits<std::int32_t>::max();

/// Sleeps while `word` is `expected`, until somebody wakes it or the deadline has passed. True: woken, or the
/// word was another already. False exactly when the deadline had passed; no wake-up is lost by that: the
/// kernel gives a wake-up to a sleeper that then returns true. `Instant::min()` never sleeps, `never` is no
/// limit. A signal does not end it. True may come without a cause, so look again. Throws std::system_error
/// for a word that is not there (EFAULT), and nothing else.
bool futex_wait(const FutexWord& word, std::uint32_t expected, FutexScope scope, Instant deadline = never);

/// The same, and also ends, with true, when a stop is requested: ask the token. On a kernel without
/// futex_waitv(2) (before 5.16), or where a filter forbids it, it then takes `stop_interval` at most.
///
/// It may have been woken and stopped at once. Who then leaves without having taken what he was woken for
/// must wake another in his place.
bool futex_wait(const FutexWord& word, std::uint32_t expected, FutexScope scope, const std::stop_token& stop,
                Instant deadline = never);
inline constexpr Duration stop_interval = std::chrono::milliseconds(50);

/// Wakes `count` sleepers at most, those that have slept longest (among equals in priority), and gives how
/// many. The word is not read: it may be gone already, as after the unlock that lets another destroy a lock.
/// Never fails, never blocks; async-signal-safe.
std::uint32_t futex_wake(const FutexWord& word, std::uint32_t count, FutexScope scope) noexcept;

/// For system calls that take a time on the clock of Instant, which is CLOCK_MONOTONIC. What lies before its
/// beginning is its beginning.
timespec to_timespec(Instant instant);

}  // namespace confab
