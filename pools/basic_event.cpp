#include "pools/basic_event.hpp"

namespace confab {

template <FutexScope scope>
void basic_event<scope>::set() noexcept {
    std::uint32_t seen = word_.load(std::memory_order_relaxed);
    std::uint32_t next = 0;
    do {
        if ((seen & set_bit) != 0) {
            next = seen;  // still written, so that who sees it set sees what was done before this call, too
        } else {
            next = ((seen & ~sleepers_bit) + one_generation) | set_bit;
        }
    } while (!word_.compare_exchange_weak(seen, next, std::memory_order_release, std::memory_order_relaxed));
    if (next != seen && (seen & sleepers_bit) != 0) futex_wake(word_, wake_all, scope);
}

template <FutexScope scope>
bool basic_event<scope>::wait_until(const std::stop_token& stop, Instant deadline) {
    std::uint32_t seen = word_.load(std::memory_order_acquire);
    const std::uint32_t generation = seen / one_generation;
    while ((seen & set_bit) == 0 && seen / one_generation == generation) {
        if (stop.stop_requested() || deadline == Instant::min()) return false;
        if ((seen & sleepers_bit) == 0) {
            if (!word_.compare_exchange_weak(seen, seen | sleepers_bit, std::memory_order_acquire)) continue;
            seen |= sleepers_bit;
        }
        const bool in_time = futex_wait(word_, seen, scope, stop, deadline);
        seen = word_.load(std::memory_order_acquire);
        if (!in_time) return (seen & set_bit) != 0 || seen / one_generation != generation;
    }
    return true;
}

template class basic_event<FutexScope::threads>;
template class basic_event<FutexScope::processes>;

}  // namespace confab
