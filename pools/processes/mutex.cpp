#include "pools/processes/mutex.hpp"

#include <time.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <system_error>

#include "pools/futex.hpp"
#include "pools/thread_number.hpp"

namespace confab::processes::detail {
namespace {

// A waiter looks again after that long, in case that his wake-up was lost: an unlock wakes one waiter; when
// that one is killed before he can run, and somebody else takes the lock in between, the C library (glibc
// 2.36) and the kernel both believe that nobody waits any more.
constexpr Duration longest_nap = std::chrono::milliseconds(50);

[[noreturn]] void refuse(int error, const char* what) {
    throw std::system_error(error, std::system_category(), what);
}

// The number of this thread and the time when it first asked, so that nobody is taken for a thread that died
// with a lock and whose number he got.
std::uint64_t this_thread_token() {
    constinit thread_local std::uint32_t number = 0;
    constinit thread_local std::uint64_t token = 0;
    if (number != this_thread_number()) {  // the first time, or the child of a fork
        number = this_thread_number();
        const auto now = static_cast<std::uint64_t>(Clock::now().time_since_epoch().count());
        token = std::uint64_t{number} << 32 | (now & UINT32_MAX);
    }
    return token;
}

}  // namespace

robust_mutex::robust_mutex(Kind kind) : kind_(kind) {
    pthread_mutexattr_t attributes;
    if (const int error = ::pthread_mutexattr_init(&attributes); error != 0)
        refuse(error, "pthread_mutexattr_init");
    // These fail only for values that they do not know.
    ::pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    ::pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    const int error = ::pthread_mutex_init(&mutex_, &attributes);
    ::pthread_mutexattr_destroy(&attributes);
    if (error != 0) refuse(error, "pthread_mutex_init");
}

// Makes an answer of a lock call a result: whether it is ours now.
//
// The C library has a state "not recoverable" of its own, but (glibc 2.36) leaves such a mutex locked for
// ever when somebody tries it. So it never gets there: a dead owner's mutex is made consistent at once, after
// a flag of ours that says the data are not.
bool robust_mutex::acquired(int error) {
    if (error == EBUSY || error == ETIMEDOUT) return false;
    if (error == EOWNERDEAD) {
        abandoned_ = true;
        ::pthread_mutex_consistent(&mutex_);  // fails only for one that is
    } else if (error != 0) {
        refuse(error, "pthread_mutex_lock");
    }
    if (unusable_) {
        ::pthread_mutex_unlock(&mutex_);
        refuse(ENOTRECOVERABLE, "somebody died with the mutex, and the next one unlocked it unrecovered");
    }
    depth_ = 1;
    owner_.store(this_thread_token(), std::memory_order_relaxed);
    return true;
}

// Takes it once more, if it is ours.
bool robust_mutex::relock() {
    if (!is_ours()) return false;
    if (kind_ == Kind::plain)
        refuse(EDEADLK, "this thread holds the mutex already; a recursive_mutex allows that");
    ++depth_;
    return true;
}

void robust_mutex::lock() { (void)try_lock_until(never); }

bool robust_mutex::try_lock() {
    if (is_ours()) return kind_ == Kind::recursive && relock();
    return acquired(::pthread_mutex_trylock(&mutex_));
}

bool robust_mutex::try_lock_until(Instant deadline) {
    if (deadline == Instant::min()) return try_lock();
    if (relock()) return true;
    if (acquired(::pthread_mutex_trylock(&mutex_))) return true;
    while (true) {
        const Instant look_again = std::min(deadline, after(Clock::now(), longest_nap));
        const timespec until = to_timespec(look_again);
        if (acquired(::pthread_mutex_clocklock(&mutex_, CLOCK_MONOTONIC, &until))) return true;
        if (look_again == deadline) return false;
    }
}

void robust_mutex::unlock() {
    if (!is_ours()) {
        throw std::logic_error(
            "a mutex is unlocked by the thread that locked it, and once; to hand something from process to "
            "process, "
            "use a semaphore");
    }
    if (--depth_ > 0) return;
    unusable_ = abandoned_;
    owner_.store(0, std::memory_order_relaxed);
    ::pthread_mutex_unlock(&mutex_);  // it is ours, so it cannot fail
}

void robust_mutex::recovered() {
    if (!is_ours() || !abandoned_)
        throw std::logic_error("recovered() is for a mutex whose previous owner died, while it is held");
    abandoned_ = false;
}

bool robust_mutex::is_ours() const { return owner_.load(std::memory_order_relaxed) == this_thread_token(); }

}  // namespace confab::processes::detail
