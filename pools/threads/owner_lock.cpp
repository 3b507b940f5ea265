#include "pools/threads/owner_lock.hpp"

#include <stdexcept>
#include <system_error>

namespace confab::threads {
namespace {

[[noreturn]] void refuse_to_wait_for_oneself() {
    throw std::system_error(std::make_error_code(std::errc::resource_deadlock_would_occur),
                            "this thread holds the mutex already; a recursive_mutex allows that");
}

}  // namespace

void owner_lock::lock_contended() {
    if (is_ours()) refuse_to_wait_for_oneself();
    take_until(never);
}

bool owner_lock::lock_late(Instant deadline, const std::source_location& where) {
    if (is_ours()) refuse_to_wait_for_oneself();
    const bool watched = lock_order_is_watched();
    if (watched) watched_.prepare();
    if (!take_until(deadline)) return false;
    if (watched) watched_.taken(where);
    return true;
}

// False: it was not free by the deadline. Requires: not ours.
//
// It goes to sleep at once. Looking a few times more first, in the hope that the owner is about done, was
// tried: it made turns through a condition up to 2.4 times slower on two cores, since the one who looks often
// holds up the very owner, or takes the lock from under one that was just woken for it.
bool owner_lock::take_until(Instant deadline) {
    const std::uint32_t mine = this_thread_number() | sleepers;
    while (true) {
        std::uint32_t seen = 0;
        if (word_.compare_exchange_strong(seen, mine, std::memory_order_acquire, std::memory_order_relaxed))
            return true;
        if ((seen & sleepers) == 0 &&
            !word_.compare_exchange_strong(seen, seen | sleepers, std::memory_order_relaxed)) {
            continue;
        }
        if (!futex_wait(word_, seen | sleepers, FutexScope::threads, deadline)) return false;
    }
}

void owner_lock::unlock_and_wake(std::uint32_t held) {
    if (held != (this_thread_number() | sleepers)) {
        throw std::logic_error(
            "a mutex is unlocked by the thread that locked it, and once; to hand something from thread to "
            "thread, "
            "use a semaphore");
    }
    word_.store(0, std::memory_order_release);
    futex_wake(word_, 1, FutexScope::threads);
}

void owner_lock::lock_watched(const std::source_location& where) {
    if (is_ours()) refuse_to_wait_for_oneself();
    watched_.prepare();
    watched_.about_to_take(where);
    if (!take()) {
        watched_.about_to_wait(where);
        take_until(never);
    }
    watched_.taken(where);
}

bool owner_lock::try_lock_watched(const std::source_location& where) {
    watched_.prepare();
    if (!take()) return false;
    watched_.taken(where);
    return true;
}

void owner_lock::watch_unlock() {
    if (is_ours()) watched_.about_to_give_back();
}

}  // namespace confab::threads
