#include "pools/basic_condition.hpp"

namespace confab {

template <FutexScope scope>
bool basic_condition<scope>::sleep(std::uint32_t seen, const std::stop_token& stop, Instant deadline) {
    const bool notified = futex_wait(word_, seen, scope, stop, deadline);
    // The kernel may have woken us for a notification just as we were stopped. We shall not look whether
    // there is something to do, so another has to.
    if (notified && stop.stop_requested()) futex_wake(word_, 1, scope);
    return notified;
}

template <FutexScope scope>
void basic_condition<scope>::notify(std::uint32_t count) noexcept {
    if (count == 0) return;
    const bool all = count >= wake_all;
    std::uint32_t seen = word_.load(std::memory_order_relaxed);
    std::uint32_t next = 0;
    do {
        if ((seen & sleepers_bit) == 0) return;
        next = (seen + one_generation) & ~(all ? sleepers_bit : 0);
    } while (!word_.compare_exchange_weak(seen, next, std::memory_order_relaxed));
    const std::uint32_t woken = futex_wake(word_, all ? wake_all : count, scope);
    // Nobody is left. If somebody is about to fall asleep, this keeps him awake, and he will look again.
    if (!all && woken < count)
        word_.compare_exchange_strong(next, next & ~sleepers_bit, std::memory_order_relaxed);
}

template class basic_condition<FutexScope::threads>;
template class basic_condition<FutexScope::processes>;

}  // namespace confab
