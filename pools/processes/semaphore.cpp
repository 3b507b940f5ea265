#include "pools/processes/semaphore.hpp"

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <system_error>

#include "pools/guard.hpp"

namespace confab::processes {

// Each change is one that counts, to a holder's permits or to the total, and then one to what is derived from
// them. Somebody killed in between has done the first or not, and the next one derives the second again.
class semaphore::Entered {
  public:
    explicit Entered(semaphore& entered) : guard_(entered.lock_) {
        if (!entered.lock_.previous_owner_died()) return;
        entered.available_.store(entered.total_ - entered.held(), std::memory_order_relaxed);
        futex_wake(entered.available_, wake_all,
                   FutexScope::processes);  // which he may have been about to do
        entered.lock_.recovered();
    }

  private:
    guard<mutex> guard_;
};

semaphore::semaphore(std::ptrdiff_t permits, std::ptrdiff_t bound)
    : bound_(static_cast<std::uint32_t>(bound)),
      total_(static_cast<std::uint32_t>(permits)),
      available_(static_cast<std::uint32_t>(permits)) {
    if (permits < 0 || permits > most)
        throw std::invalid_argument("a semaphore begins with 0 to 2147483647 permits");
}

bool semaphore::acquire_until(const std::stop_token& stop, Instant deadline) {
    while (true) {
        {
            const Entered entered(*this);
            if (take()) return true;
            take_back_from_the_dead();
            if (take()) return true;
            if (deadline == Instant::min() || stop.stop_requested()) return false;
            sleepers_ = true;
        }
        const Instant look = std::min(deadline, after(Clock::now(), life_check_interval));
        // Who was woken tries again, stopped or not, so a wake-up is never wasted on him.
        if (!futex_wait(available_, 0, FutexScope::processes, stop, look) && look == deadline)
            deadline = Instant::min();
    }
}

void semaphore::release(std::ptrdiff_t permits) {
    const Entered entered(*this);
    holder* const mine = find(identity::mine());
    const std::ptrdiff_t own = mine != nullptr ? std::min<std::ptrdiff_t>(permits, mine->permits) : 0;
    if (permits < 0 || permits - own > static_cast<std::ptrdiff_t>(bound_) - total_)
        throw std::logic_error("more permits given back than the semaphore may have");
    if (own > 0) mine->permits -= static_cast<std::uint32_t>(own);
    total_ += static_cast<std::uint32_t>(permits - own);
    add_available(static_cast<std::uint32_t>(permits));
}

bool semaphore::take() {
    const std::uint32_t available = available_.load(std::memory_order_relaxed);
    if (available == 0) return false;
    const identity self = identity::mine();
    holder* mine = find(self);
    if (mine == nullptr) mine = &find_room(self);
    ++mine->permits;
    available_.store(available - 1, std::memory_order_relaxed);
    return true;
}

semaphore::holder* semaphore::find(const identity& who) {
    const auto found = std::ranges::find_if(
        holders_, [&](const holder& place) { return place.permits > 0 && place.who == who; });
    return found == holders_.end() ? nullptr : &*found;
}

semaphore::holder& semaphore::find_room(const identity& who) {
    const auto is_free = [](const holder& place) { return place.permits == 0; };
    auto found = std::ranges::find_if(holders_, is_free);
    if (found == holders_.end()) {
        take_back_from_the_dead();
        found = std::ranges::find_if(holders_, is_free);
    }
    if (found == holders_.end()) {
        throw std::system_error(std::make_error_code(std::errc::not_enough_memory),
                                "too many processes hold permits of one semaphore");
    }
    found->who = who;
    return *found;
}

void semaphore::take_back_from_the_dead() {
    std::uint32_t back = 0;
    for (holder& place : holders_) {
        if (place.permits == 0 || place.who.alive()) continue;
        back += place.permits;
        place.permits = 0;
    }
    if (back > 0) add_available(back);
}

// Under the lock: a waiter who has set sleepers_ either sleeps already or will find that the word has
// changed.
void semaphore::add_available(std::uint32_t permits) {
    available_.fetch_add(permits, std::memory_order_relaxed);
    if (!sleepers_ || permits == 0) return;
    if (futex_wake(available_, permits, FutexScope::processes) < permits) sleepers_ = false;
}

std::uint32_t semaphore::held() const {
    return std::accumulate(holders_.begin(), holders_.end(), std::uint32_t{0},
                           [](std::uint32_t sum, const holder& place) { return sum + place.permits; });
}

}  // namespace confab::processes
