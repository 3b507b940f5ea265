#include "reactor/epoll.hpp"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <system_error>

#include "reactor/system_calls.hpp"
#include "reactor/wake_descriptor.hpp"

namespace confab {

using system_calls::once;

namespace {

// epoll_wait(2) counts whole milliseconds: rounded up, or a wait would end early and spin.
int milliseconds_until(Instant deadline, Instant now) {
    if (deadline <= now) return 0;
    if (deadline == never) return -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - now).count();
    return static_cast<int>(std::min<long>(left, INT_MAX));
}

// The bits are the same in both interfaces (epoll(7) is built on poll's).
static_assert(EPOLLIN == 0x001 && EPOLLOUT == 0x004 && EPOLLERR == 0x008 && EPOLLHUP == 0x010 &&
              EPOLLRDHUP == 0x2000);

}  // namespace

EpollMechanism::EpollMechanism(Ledger& ledger, std::size_t receive_size, bool shares_listeners)
    : ReadinessMechanism(ledger, receive_size, {.edge_triggered = true}),
      shares_listeners_(shares_listeners),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    if (!epoll_) throw std::system_error(errno, std::system_category(), "epoll_create1");
    wake_ = make_wake_descriptor();
    // Edge-triggered, each write to it is news (eventfd(2)): it need never be read.
    epoll_event event{.events = EPOLLIN | EPOLLET, .data = {.fd = wake_.get()}};
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event) < 0) {
        throw std::system_error(errno, std::system_category(), "epoll_ctl");
    }
}

void EpollMechanism::wait(Instant deadline, bool /*posts_expected*/) {
    const int limit = anything_due() || deadline == Instant::min() ? 0 : milliseconds_until(deadline, now());
    // Interrupted: as good as woken, the reactor comes back.
    const int count = once(ledger(), SystemCall::wait, [&] {
        return ::epoll_wait(epoll_.get(), events_.data(), static_cast<int>(events_.size()), limit);
    });
    for (int i = 0; i < count; ++i) {
        const epoll_event& event = events_[static_cast<std::size_t>(i)];
        if (event.data.fd != wake_.get()) became_ready(event.data.fd, static_cast<short>(event.events));
    }
}

void EpollMechanism::wake() noexcept { write_wake_descriptor(wake_); }

int EpollMechanism::interest_changed(int fd) {
    Watched& watched = this->watched(fd);
    if (watched.registered || watched.parked == nullptr) return 0;
    epoll_event event{.events = EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data = {.fd = fd}};
    const bool listens = static_cast<Operation*>(watched.parked)->kind == Operation::Kind::accept;
    const bool shared = listens && shares_listeners_;
    if (shared) event.events = EPOLLIN | EPOLLET | EPOLLEXCLUSIVE;
    const int result = once(ledger(), SystemCall::control,
                            [&] { return ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event); });
    if (result != 0) return result;
    watched.registered = true;
    watched.shared = shared;
    return 0;
}

// What lives on is taken out by hand: a foreign descriptor, and a socket that other processes have open,
// whose news would go on to come here, and to nobody else.
void EpollMechanism::forget(int fd) {
    const Watched& watched = this->watched(fd);
    if (watched.registered && (watched.shared || !watched.lasting)) take_out(fd);
}

void EpollMechanism::accepted(int listener) {
    Watched& watched = this->watched(listener);
    if (!watched.shared || !watched.registered) return;
    take_out(listener);
    watched.registered = false;
}

void EpollMechanism::take_out(int fd) {
    once(ledger(), SystemCall::control,
         [&] { return ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr); });
}

}  // namespace confab
