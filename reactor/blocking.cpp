// A blocking reactor blocks. When exactly one receive or send is parked and nobody is expected to post,
// `wait` makes the plain call - recv or send without MSG_DONTWAIT on a socket that is not O_NONBLOCK - so
// that an echo costs the two system calls that the textbook's costs. Everything else is polled with the
// wake-up descriptor, and tried without waiting: several operations, a mailbox, accept (another thread may
// take the connection), connect, foreign descriptors.
//
// Time limits. The plain call has one, SO_RCVTIMEO or SO_SNDTIMEO, but setting it costs a system call and the
// kernel's timers may be late by an eighth. So the limit is one of a few, each twice the one before, at most
// 8/9 of what is left, and stays with the socket: it is set anew only when it would be too late or has become
// less than an eighth. If the call really comes back without anything, the rest is waited for with a poll, to
// the nanosecond. Limits under an eighth of a second are polled from the start. It is the reactor that finds
// out, by its timers, that a limit has passed.
//
// Within the call such a limit costs the kernel the setting and clearing of a timer, a fifteenth of what an
// echo costs. So a connection that goes on for a while gets a reminder instead: one POSIX timer of the
// thread's, which interrupts the call when the time has come, and each second from then on. It is not set
// anew for each receive but only once half of the limit has passed, so it may come early, and is then set to
// the exact time. It may also come while the thread is in somebody else's system call, after half a limit
// without a receive.
//
// Waking somebody who is in a plain call. A blocked system call ends with EINTR when a signal is handled:
// here SIGURG (ignored by default, and harmless to receive; Go's runtime chose it for the same), with a
// handler that does nothing and without SA_RESTART. But the signal may come when the thread has said
// `calling` and is not yet in the kernel; it would be handled there, and the call would block all the same.
// No check before the call can close that gap. So the signal is sent by a POSIX timer that repeats it each
// millisecond, made by who wakes; the thread deletes it when it is out of the call. It waits for that until
// who wakes is done with the timer (`interrupted`), so nobody touches the mechanism any more once `wait` has
// returned.
#include "reactor/blocking.hpp"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <mutex>
#include <system_error>

#include "reactor/system_calls.hpp"
#include "reactor/wake_descriptor.hpp"

namespace confab {

using namespace std::chrono_literals;
using system_calls::once;

namespace {

constexpr int interruption = SIGURG;

void handle_interruption(int) {}

void expect_interruptions() {
    static std::once_flag installed;
    std::call_once(installed, [] {
        struct sigaction action{};
        action.sa_handler = &handle_interruption;
        if (::sigaction(interruption, &action, nullptr) < 0) {
            throw std::system_error(errno, std::system_category(), "sigaction");
        }
    });
    sigset_t set;
    ::sigemptyset(&set);
    ::sigaddset(&set, interruption);
    const int error = ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
    if (error != 0) throw std::system_error(error, std::system_category(), "pthread_sigmask");
}

// The limits that a socket may be given: number 1 is 64 ms, number 15 more than a quarter of an hour.
constexpr int limits = 15;
constexpr Duration limit_of(int number) { return 32ms * (1 << number); }

// Receives with a limit that come before a reminder is worth making, and the shortest limit that is worth
// one.
constexpr unsigned receives_before_reminder = 32;
constexpr Duration shortest_reminded = 200ms;

// When a call with that limit is back at the latest: its timer wheel makes the kernel late by up to an
// eighth, its clock by up to two ticks of 4 ms.
constexpr Duration latest_return(int number) { return limit_of(number) * 9 / 8 + 8ms; }

}  // namespace

BlockingMechanism::BlockingMechanism(Ledger& ledger, std::size_t receive_size)
    : PollMechanism(ledger, receive_size,
                    {.accept_flags = 0, .waits_in_calls = true, .connects_unblocked = true}),
      thread_(::gettid()) {
    expect_interruptions();
}

void BlockingMechanism::wait(Instant deadline, bool posts_expected) {
    const bool must_not_sleep = anything_due() || deadline == Instant::min();
    if (must_not_sleep && nothing_parked()) return;
    Operation* const only = must_not_sleep || posts_expected ? nullptr : only_operation();
    if (only != nullptr && may_block_in(*only, deadline, now())) {
        if (!begin(Doing::calling)) return;
        came_back_ = !block_in(*only);
        end();
        return;
    }
    if (must_not_sleep) {
        poll_parked(deadline);
        return;
    }
    reminder_.put_off();
    have_wake_descriptor();
    if (!begin(wake_descriptor() ? Doing::polling : Doing::calling)) return;
    poll_parked(deadline);
    end();
}

bool BlockingMechanism::wait_in(Operation& operation, Instant now) {
    if (!is_descriptor(operation.fd) || watch(operation.fd).parked != nullptr) return false;
    if (!may_block_in(operation, operation.deadline, now) || !begin(Doing::calling)) return false;
    const bool over = call(operation);
    end();
    return over;
}

// Out of descriptors there is none, and a poll is interrupted as a plain call is.
void BlockingMechanism::have_wake_descriptor() {
    if (wake_descriptor()) return;
    try {
        be_woken_by(make_wake_descriptor());
    } catch (const std::system_error&) {
    }
}

// The receive or send that is all there is in flight, or nullptr.
Operation* BlockingMechanism::only_operation() {
    const int fd = only_descriptor();
    if (fd < 0) return nullptr;
    auto* const operation = static_cast<Operation*>(watched(fd).parked);
    const bool plain =
        operation->kind == Operation::Kind::receive || operation->kind == Operation::Kind::send;
    return plain && operation->next == nullptr ? operation : nullptr;
}

// Sees to it that the plain call would block, and end in time.
bool BlockingMechanism::may_block_in(Operation& operation, Instant deadline, Instant now) {
    if (came_back_) return false;
    Watched& watched = this->watched(operation.fd);
    if (!watched.blocks) {
        const int error =
            once(ledger(), SystemCall::control, [&] { return ::fcntl(operation.fd, F_SETFL, 0); });
        if (error < 0) return false;
        watched.blocks = true;
    }
    if (deadline == never) {
        reminder_.put_off();
        return true;
    }
    return remind_at(operation, deadline, now) || set_limit(operation, deadline - now);
}

bool BlockingMechanism::set_limit(Operation& operation, Duration left) {
    if (left < latest_return(1)) return false;
    Watched& watched = this->watched(operation.fd);
    const bool receives = operation.kind == Operation::Kind::receive;
    const int present = receives ? watched.receive_limit : watched.send_limit;
    const bool serves =
        present > 0 && latest_return(present) <= left && (present == limits || limit_of(present) * 8 >= left);
    if (serves) return true;
    int number = limits;
    while (latest_return(number) > left) --number;
    const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(limit_of(number)).count();
    const timeval limit{.tv_sec = milliseconds / 1000, .tv_usec = milliseconds % 1000 * 1000};
    const int error = once(ledger(), SystemCall::control, [&] {
        return ::setsockopt(operation.fd, SOL_SOCKET, receives ? SO_RCVTIMEO : SO_SNDTIMEO, &limit,
                            sizeof limit);
    });
    if (error < 0) return false;
    if (receives) {
        watched.receive_limit = static_cast<std::uint8_t>(number & 0xf);
    } else {
        watched.send_limit = static_cast<std::uint8_t>(number & 0xf);
    }
    return true;
}

// False: no reminder; the call needs a limit.
bool BlockingMechanism::remind_at(Operation& operation, Instant deadline, Instant now) {
    if (operation.kind != Operation::Kind::receive || deadline - now < shortest_reminded) return false;
    if (!reminder_.exists()) {
        if (++receives_limited_ < receives_before_reminder) return false;
        receives_limited_ = 0;
        ledger().count(SystemCall::control);
        if (!reminder_.make(thread_, interruption)) return false;
    }
    const bool serves = reminder_.at() <= deadline && reminder_.at() - now >= (deadline - now) / 2;
    if (!serves) {
        ledger().count(SystemCall::control);
        reminder_.set(deadline, 1s);
    }
    Watched& watched = this->watched(operation.fd);
    if (watched.receive_limit == 0) return true;
    const timeval none{};
    const int error = once(ledger(), SystemCall::control, [&] {
        return ::setsockopt(operation.fd, SOL_SOCKET, SO_RCVTIMEO, &none, sizeof none);
    });
    if (error == 0) watched.receive_limit = 0;
    return error == 0;
}

int BlockingMechanism::interest_changed(int fd) {
    came_back_ = false;
    return PollMechanism::interest_changed(fd);
}

// False: `wake` was called, and that is hereby done with.
bool BlockingMechanism::begin(Doing what) {
    Doing before = Doing::running;
    if (doing_.compare_exchange_strong(before, what)) return true;
    doing_.store(Doing::running);
    return false;
}

void BlockingMechanism::end() {
    Doing before = doing_.load();
    while (before == Doing::polling || before == Doing::calling) {
        if (doing_.compare_exchange_weak(before, Doing::running)) return;
    }
    if (before != Doing::woken) {
        call_is_over_.store(true);
        while (doing_.load() != Doing::interrupted) ::sched_yield();  // a few microseconds
        if (interrupter_.exists()) {
            ledger().count(SystemCall::wake);
            interrupter_.remove();
        }
        call_is_over_.store(false);
    }
    doing_.store(Doing::running);
}

void BlockingMechanism::wake() noexcept {
    Doing before = doing_.load();
    while (true) {
        switch (before) {
            case Doing::running:
                if (doing_.compare_exchange_weak(before, Doing::woken)) return;
                break;
            case Doing::polling:
                if (!doing_.compare_exchange_weak(before, Doing::woken)) break;
                return write_wake_descriptor(wake_descriptor());
            case Doing::calling:
                if (!doing_.compare_exchange_weak(before, Doing::interrupting)) break;
                return interrupt();
            default:
                return;  // somebody else has
        }
    }
}

void BlockingMechanism::interrupt() noexcept {
    const bool armed = interrupter_.make(thread_, interruption) && interrupter_.set(Instant::min(), 1ms);
    // No timer to be had (RLIMIT_SIGPENDING): then the signal is repeated by hand until it has worked.
    while (!armed && !call_is_over_.load()) {
        ::tgkill(::getpid(), thread_, interruption);
        ::sched_yield();
    }
    doing_.store(Doing::interrupted);
}

}  // namespace confab
