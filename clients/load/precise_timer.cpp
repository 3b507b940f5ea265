#include "clients/load/precise_timer.hpp"

#include <poll.h>
#include <sys/timerfd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "coro/listener.hpp"
#include "coro/sleep.hpp"

namespace confab::load {

namespace {

std::system_error failed(const char* call) { return {errno, std::generic_category(), call}; }

}  // namespace

PreciseTimer::PreciseTimer(Reactor& reactor)
    : reactor_(reactor), simulated_(reactor.waiting() == Waiting::simulated) {
    if (simulated_) return;
    timer_ = Fd(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
    if (!timer_) throw failed("timerfd_create");
}

// The timer is never read: setting it takes back that it has gone off.
task<void> PreciseTimer::wait_until(Instant when) {
    if (simulated_) {
        co_await sleep(when - reactor_.now());
        co_return;
    }
    const Duration since_boot = std::max(when.time_since_epoch(), Duration(1));  // zero would disarm it
    const auto seconds = std::chrono::floor<std::chrono::seconds>(since_boot);
    itimerspec setting{};
    setting.it_value.tv_sec = seconds.count();
    setting.it_value.tv_nsec = (since_boot - seconds).count();
    if (::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &setting, nullptr) != 0)
        throw failed("timerfd_settime");
    const std::expected<int, std::error_code> gone_off = co_await poll_events(timer_.get(), POLLIN);
    if (gone_off) co_return;
    co_await sleep(Duration::zero());  // asked to stop: this throws
    throw std::system_error(gone_off.error(), "waiting for a timer");
}

task<void> PreciseTimer::close() {
    if (timer_) co_await close_descriptor(timer_.release());
}

}  // namespace confab::load
