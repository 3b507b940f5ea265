#include "reactor/interrupt_timer.hpp"

#include <algorithm>
#include <csignal>
#include <utility>

#ifndef sigev_notify_thread_id  // glibc 2.36 has the field without the name that timer_create(2) gives it
#define sigev_notify_thread_id _sigev_un._tid
#endif

namespace confab {

namespace {

timespec spec(Duration duration) {
    return {.tv_sec = duration.count() / 1'000'000'000, .tv_nsec = duration.count() % 1'000'000'000};
}

}  // namespace

bool InterruptTimer::make(pid_t thread, int signal) noexcept {
    sigevent event{};
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = signal;
    event.sigev_notify_thread_id = thread;
    exists_ = ::timer_create(CLOCK_MONOTONIC, &event, &timer_) == 0;
    return exists_;
}

bool InterruptTimer::set(Instant at, Duration interval) noexcept {
    constexpr Duration earliest{1};  // zero would mean never
    const itimerspec when{.it_interval = spec(interval),
                          .it_value = spec(std::max(at.time_since_epoch(), earliest))};
    if (!exists_ || ::timer_settime(timer_, TIMER_ABSTIME, &when, nullptr) < 0) return false;
    at_ = at;
    return true;
}

void InterruptTimer::put_off() noexcept {
    if (at_ == never) return;
    const itimerspec not_at_all{};
    ::timer_settime(timer_, 0, &not_at_all, nullptr);  // an error would be ours: no such timer
    at_ = never;
}

void InterruptTimer::remove() noexcept {
    if (std::exchange(exists_, false)) ::timer_delete(timer_);
    at_ = never;
}

}  // namespace confab
