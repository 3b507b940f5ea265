#include "reactor/poll.hpp"

#include <cerrno>
#include <cstdint>
#include <ctime>
#include <utility>

#include "reactor/system_calls.hpp"
#include "reactor/time_left.hpp"

namespace confab {

using system_calls::once;

PollMechanism::PollMechanism(Ledger& ledger, std::size_t receive_size)
    : PollMechanism(ledger, receive_size, Kind{}) {
    be_woken_by(make_wake_descriptor());
}

PollMechanism::PollMechanism(Ledger& ledger, std::size_t receive_size, const Kind& kind)
    : ReadinessMechanism(ledger, receive_size, kind),
      parked_{pollfd{.fd = -1, .events = POLLIN, .revents = 0}} {}

void PollMechanism::be_woken_by(Fd fd) {
    wake_ = std::move(fd);
    parked_[0].fd = wake_.get();
}

void PollMechanism::wait(Instant deadline, bool /*posts_expected*/) { poll_parked(deadline); }

void PollMechanism::wake() noexcept { write_wake_descriptor(wake_); }

void PollMechanism::poll_parked(Instant deadline) {
    timespec left{};
    const timespec* const limit = time_left(anything_due() ? Instant::min() : deadline, left);
    int count = once(ledger(), SystemCall::wait,
                     [&] { return ::ppoll(parked_.data(), parked_.size(), limit, nullptr); });
    if (count == -EINTR) return;
    // Out of memory, or a resource limit that was lowered below what is parked: no reason to stand still.
    if (count < 0) try_everything();
    // From the back: whoever takes the place of one that leaves the list has been looked at.
    for (std::size_t i = parked_.size() - 1; count > 0 && i > 0; --i) {
        const pollfd& entry = parked_[i];
        if (entry.revents == 0) continue;
        --count;
        // A descriptor that is none (POLLNVAL): the call itself says so best.
        const int events = (entry.revents & POLLNVAL) != 0 ? POLLERR : entry.revents;
        became_ready(entry.fd, static_cast<short>(events));
    }
    if (count > 0) {
        ledger().count(SystemCall::wake);
        clear_wake_descriptor(wake_);
    }
}

void PollMechanism::try_everything() {
    for (std::size_t i = parked_.size() - 1; i > 0; --i) became_ready(parked_[i].fd, POLLERR);
}

int PollMechanism::interest_changed(int fd) {
    Watched& watched = this->watched(fd);
    const short events = events_wanted(watched);
    if (watched.parked == nullptr) {
        if (!watched.registered) return 0;
        watched.registered = false;
        parked_[watched.slot] = parked_.back();
        this->watched(parked_.back().fd).slot = watched.slot;
        parked_.pop_back();
    } else if (watched.registered) {
        parked_[watched.slot].events = events;
    } else {
        watched.registered = true;
        watched.slot = static_cast<std::uint32_t>(parked_.size());
        parked_.push_back({.fd = fd, .events = events, .revents = 0});
    }
    return 0;
}

}  // namespace confab
