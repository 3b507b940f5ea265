#include "pools/futex.hpp"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

namespace confab {
namespace {

[[noreturn]] void refuse(int error) { throw std::system_error(error, std::system_category(), "futex"); }

enum class Woken { maybe, too_late, unsupported };

// The answers that the wait calls have in common. Gives nothing for "interrupted: again".
Woken understand(int error) {
    switch (error) {
        case 0:
        case EAGAIN:
            return Woken::maybe;  // EAGAIN: the word was another already
        case ETIMEDOUT:
            return Woken::too_late;
        case ENOSYS:
        case EPERM:
            return Woken::unsupported;
        default:
            refuse(error);
    }
}

Woken wait_on_two(const FutexWord& word, std::uint32_t expected, FutexScope scope, const FutexWord& stopped,
                  Instant deadline) {
    const auto waiter = [](const FutexWord& on, std::uint32_t value, FutexScope among) {
        futex_waitv entry = {};
        entry.val = value;
        entry.uaddr = reinterpret_cast<std::uintptr_t>(&on);
        entry.flags = FUTEX_32 | (among == FutexScope::threads ? FUTEX_PRIVATE_FLAG : 0U);
        return entry;
    };
    const std::array waiters = {waiter(word, expected, scope), waiter(stopped, 0, FutexScope::threads)};
    const timespec until = to_timespec(deadline);
    long result = 0;
    do {
        result = ::syscall(SYS_futex_waitv, waiters.data(), waiters.size(), 0,
                           deadline == never ? nullptr : &until, CLOCK_MONOTONIC);
    } while (result < 0 && errno == EINTR);
    return understand(result < 0 ? errno : 0);
}

}  // namespace

timespec to_timespec(Instant instant) {
    const auto since = std::max(instant.time_since_epoch(), Duration::zero());
    const auto seconds = std::chrono::floor<std::chrono::seconds>(since);
    timespec converted = {};
    converted.tv_sec = seconds.count();
    converted.tv_nsec = (since - seconds).count();
    return converted;
}

bool futex_wait(const FutexWord& word, std::uint32_t expected, FutexScope scope, Instant deadline) {
    if (deadline == Instant::min()) return word.load(std::memory_order_acquire) != expected;
    // With this operation, unlike FUTEX_WAIT, the time is a point and not a span: an interruption starts
    // nothing over.
    const int operation = FUTEX_WAIT_BITSET | (scope == FutexScope::threads ? FUTEX_PRIVATE_FLAG : 0);
    const timespec until = to_timespec(deadline);
    long result = 0;
    do {
        result = ::syscall(SYS_futex, &word, operation, expected, deadline == never ? nullptr : &until,
                           nullptr, FUTEX_BITSET_MATCH_ANY);
    } while (result < 0 && errno == EINTR);
    return understand(result < 0 ? errno : 0) == Woken::maybe;
}

bool futex_wait(const FutexWord& word, std::uint32_t expected, FutexScope scope, const std::stop_token& stop,
                Instant deadline) {
    if (!stop.stop_possible()) return futex_wait(word, expected, scope, deadline);
    if (deadline == Instant::min())
        return futex_wait(word, expected, scope, deadline) || stop.stop_requested();
    FutexWord stopped = 0;
    const std::stop_callback on_stop(stop, [&stopped] {
        stopped.store(1, std::memory_order_release);
        futex_wake(stopped, 1, FutexScope::threads);
    });
    const Woken woken = wait_on_two(word, expected, scope, stopped, deadline);
    if (woken != Woken::unsupported) return woken == Woken::maybe;

    const Instant next_look = std::min(deadline, after(Clock::now(), stop_interval));
    if (stop.stop_requested() || futex_wait(word, expected, scope, next_look)) return true;
    return next_look != deadline;
}

std::uint32_t futex_wake(const FutexWord& word, std::uint32_t count, FutexScope scope) noexcept {
    const int operation = FUTEX_WAKE | (scope == FutexScope::threads ? FUTEX_PRIVATE_FLAG : 0);
    // It can fail only with EFAULT, when the word was unmapped, and with it everybody who slept there.
    const long woken = ::syscall(SYS_futex, &word, operation, count);
    return woken < 0 ? 0 : static_cast<std::uint32_t>(woken);
}

}  // namespace confab
