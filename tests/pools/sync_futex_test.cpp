#include "pools/futex.hpp"

#include <doctest/doctest.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <memory>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <vector>

#include "tests/support/child.hpp"
#include "tests/support/refuse_system_call.hpp"

using namespace confab;
using namespace std::chrono_literals;

namespace {

// A thread that waits once, as the test says.
class Sleeper {
  public:
    template <class Wait>
    explicit Sleeper(Wait wait)
        : thread_([this, wait](const std::stop_token& stop) {
              id_ = ::gettid();
              result_ = wait(stop);
              ended_ = true;
          }) {
        until([this] { return ended_ || (id_ != 0 && is_asleep(id_)); });
    }
    bool ended() const { return ended_; }
    bool result() {
        thread_.join();
        return result_;
    }
    std::jthread& thread() { return thread_; }

  private:
    std::atomic<pid_t> id_ = 0;
    std::atomic<bool> ended_ = false;
    bool result_ = false;
    std::jthread thread_;
};

// Runs `wait` in a thread for which futex_waitv is not there.
template <class Wait>
auto where_refused(int error, Wait wait) {
    return [error, wait](const std::stop_token& stop) {
        const bool is_refused = refuse_system_call(SYS_futex_waitv, error) &&
                                ::syscall(SYS_futex_waitv, nullptr, 0, 0, nullptr, 0) == -1 && errno == error;
        if (!is_refused) throw std::runtime_error("futex_waitv could not be taken away");
        return wait(stop);
    };
}

}  // namespace

TEST_CASE("a deadline that is no time at all never sleeps, on a futex") {
    const FutexWord word = 7;
    CHECK_FALSE(futex_wait(word, 7, FutexScope::threads, Instant::min()));
    CHECK(futex_wait(word, 8, FutexScope::threads, Instant::min()));
}

TEST_CASE("a futex wait ends at its deadline, and one that has passed is no error") {
    const FutexWord word = 7;
    for (const FutexScope scope : {FutexScope::threads, FutexScope::processes}) {
        CHECK_FALSE(futex_wait(word, 7, scope, after(Clock::now(), 1ms)));
        CHECK_FALSE(futex_wait(word, 7, scope, Instant(1ns)));
        CHECK_FALSE(futex_wait(word, 7, scope, Instant(-1h)));
        CHECK(futex_wait(word, 8, scope));  // at once: it is another already
    }
}

TEST_CASE("waking a futex wakes so many and says how many") {
    FutexWord word = 0;
    std::vector<std::unique_ptr<Sleeper>> sleepers;
    for (int i = 0; i < 3; ++i) {
        sleepers.push_back(std::make_unique<Sleeper>(
            [&](const std::stop_token&) { return futex_wait(word, 0, FutexScope::threads); }));
    }
    std::uint32_t woken = 0;
    while (woken < 2) woken += futex_wake(word, 2 - woken, FutexScope::threads);
    CHECK(woken == 2);
    CHECK(futex_wake(word, wake_all, FutexScope::threads) == 1);
    for (auto& sleeper : sleepers) CHECK(sleeper->result());
    CHECK(futex_wake(word, wake_all, FutexScope::threads) == 0);
}

TEST_CASE("a request to stop ends a futex wait") {
    FutexWord word = 0;
    Sleeper sleeper(
        [&](const std::stop_token& stop) { return futex_wait(word, 0, FutexScope::threads, stop); });
    CHECK_FALSE(sleeper.ended());
    sleeper.thread().request_stop();
    CHECK(sleeper.result());
}

TEST_CASE("a futex wait that can be stopped is woken, times out and looks like any other") {
    FutexWord word = 0;
    std::stop_source source;
    CHECK_FALSE(futex_wait(word, 0, FutexScope::processes, source.get_token(), after(Clock::now(), 1ms)));
    CHECK_FALSE(futex_wait(word, 0, FutexScope::processes, source.get_token(), Instant::min()));
    CHECK(futex_wait(word, 1, FutexScope::processes, source.get_token()));
    Sleeper sleeper(
        [&](const std::stop_token& stop) { return futex_wait(word, 0, FutexScope::processes, stop); });
    while (futex_wake(word, 1, FutexScope::processes) == 0) std::this_thread::yield();
    CHECK(sleeper.result());
    source.request_stop();
    CHECK(futex_wait(word, 0, FutexScope::threads, source.get_token()));
}

TEST_CASE("where the kernel cannot wait for two words, a futex wait is woken and stopped as elsewhere") {
    for (const int error : {ENOSYS, EPERM}) {
        CAPTURE(error);
        FutexWord word = 0;
        const auto wait_until_changed = where_refused(error, [&word](const std::stop_token& stop) {
            while (word == 0 && !stop.stop_requested()) {
                if (!futex_wait(word, 0, FutexScope::threads, stop)) return false;
            }
            return word == 1;
        });
        Sleeper stopped(wait_until_changed);
        stopped.thread().request_stop();
        CHECK_FALSE(stopped.result());  // though nobody woke it
        Sleeper woken(wait_until_changed);
        word = 1;
        futex_wake(word, 1, FutexScope::threads);
        CHECK(woken.result());
    }
}

TEST_CASE("where the kernel cannot wait for two words, a futex wait ends at its deadline") {
    Sleeper sleeper(where_refused(ENOSYS, [](const std::stop_token& stop) {
        const FutexWord word = 0;
        const Instant soon = after(Clock::now(), 1ms);
        const Instant later = after(Clock::now(), 3 * stop_interval / 2);
        if (futex_wait(word, 0, FutexScope::processes, stop, soon) || Clock::now() < soon) return false;
        while (futex_wait(word, 0, FutexScope::processes, stop, later)) {
        }
        return Clock::now() >= later;
    }));
    CHECK(sleeper.result());
}

TEST_CASE("a signal does not end a futex wait") {
    struct sigaction ignore_but_interrupt = {};
    ignore_but_interrupt.sa_handler = [](int) {};
    struct sigaction before = {};
    REQUIRE(::sigaction(SIGUSR1, &ignore_but_interrupt, &before) == 0);
    FutexWord word = 0;
    Sleeper sleeper([&](const std::stop_token&) { return futex_wait(word, 0, FutexScope::threads); });
    for (int i = 0; i < 20; ++i) ::pthread_kill(sleeper.thread().native_handle(), SIGUSR1);
    CHECK_FALSE(sleeper.ended());
    word = 1;
    futex_wake(word, 1, FutexScope::threads);
    CHECK(sleeper.result());
    ::sigaction(SIGUSR1, &before, nullptr);
}

TEST_CASE("a futex word that is not there is an error") {
    const auto& nowhere = *reinterpret_cast<const FutexWord*>(std::uintptr_t{4096});
    CHECK_THROWS_AS(futex_wait(nowhere, 0, FutexScope::threads), std::system_error);
}
