#include "pools/threads/semaphore.hpp"

#include <stdexcept>

#include "pools/patience.hpp"

namespace confab::threads {

semaphore::semaphore(std::ptrdiff_t permits, std::ptrdiff_t bound)
    : permits_(static_cast<std::uint32_t>(permits)), bound_(static_cast<std::uint32_t>(bound)) {
    if (permits < 0 || permits > most)
        throw std::invalid_argument("a semaphore begins with 0 to 2147483647 permits");
}

// Sequentially consistent, here and in release: either the releaser sees that somebody may sleep, or the
// sleeper, or the kernel for him, sees the permit.
bool semaphore::acquire_late(const std::stop_token& stop, Instant deadline) {
    thread_local Patience patience;
    if (patience.is_worthwhile()) {
        const bool is_quick = Patience::watch([this] { return try_acquire(); });
        patience.learn(is_quick);
        if (is_quick) return true;
    }
    sleepers_.fetch_add(1);
    bool acquired = false;
    bool in_time = true;
    // Who was woken tries before anything else, stopped or not, so a wake-up is never wasted on him.
    while (!(acquired = try_acquire()) && in_time && !stop.stop_requested())
        in_time = futex_wait(permits_, 0, FutexScope::threads, stop, deadline);
    sleepers_.fetch_sub(1);
    return acquired;
}

void semaphore::release(std::ptrdiff_t permits) {
    std::uint32_t seen = permits_.load(std::memory_order_relaxed);
    do {
        if (permits < 0 || permits > static_cast<std::ptrdiff_t>(bound_) - seen)
            throw std::logic_error("more permits given back than the semaphore may have");
    } while (!permits_.compare_exchange_weak(seen, seen + static_cast<std::uint32_t>(permits)));
    if (permits > 0 && sleepers_.load() > 0)
        futex_wake(permits_, static_cast<std::uint32_t>(permits), FutexScope::threads);
}

}  // namespace confab::threads
