// What semaphores promise, between threads and between processes: items 33 to 36 of the parity list.
#include <doctest/doctest.h>

#include <stdexcept>
#include <stop_token>
#include <system_error>

#include "tests/pools/sync_backends.hpp"

using namespace confab;
using namespace std::chrono_literals;

TEST_CASE_TEMPLATE("parity 33: a semaphore lets as many through as it has permits", Backend, Threads,
                   Processes) {
    typename Backend::template Place<typename Backend::semaphore> permits(7);
    for (int i = 0; i < 7; ++i) permits->acquire();
    CHECK_FALSE(permits->try_acquire());
    CHECK_FALSE(permits->acquire_for(0ms));
    CHECK_FALSE(permits->acquire_for(-1h));
    CHECK_FALSE(permits->acquire_for(1ms));
    auto waiting = start<Backend>(4, [&](int) {
        permits->acquire();
        return 0;
    });
    for (const auto& party : waiting) party.until_asleep();
    permits->release(3);
    permits->release();
    CHECK(join(waiting) == std::vector<int>(4, 0));
}

TEST_CASE_TEMPLATE("parity 33: a semaphore begins with one permit, and never with less than none", Backend,
                   Threads, Processes) {
    typename Backend::semaphore one;
    CHECK(one.available() == 1);
    CHECK(one.try_acquire());
    CHECK_FALSE(one.try_acquire());
    CHECK_THROWS_AS(typename Backend::semaphore(-1), std::invalid_argument);
    CHECK_THROWS_AS(typename Backend::bounded_semaphore(-1), std::invalid_argument);
    CHECK_THROWS_AS(typename Backend::semaphore(std::ptrdiff_t{1} << 31), std::invalid_argument);
    CHECK(typename Backend::semaphore(0).available() == 0);
}

TEST_CASE_TEMPLATE("parity 34: giving back no permit does nothing", Backend, Threads, Processes) {
    typename Backend::bounded_semaphore permits(2);
    permits.release(0);
    CHECK(permits.available() == 2);
    CHECK_THROWS_AS(permits.release(-1), std::logic_error);
    CHECK(permits.available() == 2);
}

TEST_CASE_TEMPLATE("parity 35: only a bounded semaphore refuses more than it began with", Backend, Threads,
                   Processes) {
    typename Backend::semaphore grows(1);
    grows.release(2);
    CHECK(grows.available() == 3);
    typename Backend::bounded_semaphore bounded(2);
    CHECK_THROWS_AS(bounded.release(), std::logic_error);
    CHECK(bounded.available() == 2);
    bounded.acquire();
    CHECK_THROWS_AS(bounded.release(2), std::logic_error);
    CHECK(bounded.available() == 1);
    bounded.release();
    CHECK(bounded.available() == 2);
}

TEST_CASE_TEMPLATE("parity 35: a semaphore that is full is an error, not an overflow", Backend, Threads,
                   Processes) {
    typename Backend::semaphore permits(Backend::semaphore::most);
    CHECK_THROWS_AS(permits.release(), std::logic_error);
    CHECK(permits.try_acquire());
    permits.release();
    CHECK(permits.available() == Backend::semaphore::most);
}

TEST_CASE_TEMPLATE("a semaphore never lets more in than it has permits", Backend, Threads, Processes) {
    struct Stage {
        typename Backend::semaphore permits{2};
        std::atomic<int> inside = 0;
        std::atomic<int> most = 0;
    };
    typename Backend::template Place<Stage> stage;
    auto parties = start<Backend>(4, [&](int) {
        for (int round = 0; round < 500; ++round) {
            stage->permits.acquire();
            const int now = ++stage->inside;
            if (now > stage->most) stage->most = now;
            std::this_thread::yield();
            --stage->inside;
            stage->permits.release();
        }
        return 0;
    });
    CHECK(join(parties) == std::vector<int>(4, 0));
    CHECK(stage->most <= 2);
    CHECK(stage->permits.available() == 2);
}

TEST_CASE_TEMPLATE("a request to stop ends the wait for a permit", Backend, Threads, Processes) {
    typename Backend::template Place<typename Backend::semaphore> permits(0);
    std::atomic<pid_t> id = 0;
    bool acquired = true;
    std::jthread waiting([&](const std::stop_token& stop) {
        id = ::gettid();
        acquired = permits->acquire(stop);
    });
    until([&] { return id != 0 && is_asleep(id); });
    waiting.request_stop();
    waiting.join();
    CHECK_FALSE(acquired);
    CHECK_FALSE(permits->acquire(waiting.get_stop_token()));
    permits->release();
    CHECK(permits->acquire(waiting.get_stop_token()));  // there is one, so there is nothing to stop
}

TEST_CASE("parity 36: the permits of a killed process come back to who waits") {
    struct Stage {
        processes::semaphore permits{3};
        std::atomic<bool> taken = false;
    };
    const processes::shared<Stage> stage;
    Child holder([&] {
        for (int i = 0; i < 3; ++i) stage->permits.acquire();
        stage->permits.release();
        stage->permits.acquire();
        stage->taken = true;
        return ::pause();
    });
    until([&] { return stage->taken.load(); });
    auto waiting = start<Processes>(3, [&](int) {
        stage->permits.acquire();
        return 0;
    });
    for (const Child& party : waiting) party.until_asleep();
    CHECK(stage->permits.available() == 0);
    CHECK(holder.kill() == -SIGKILL);
    CHECK(join(waiting) == std::vector<int>(3, 0));
}

TEST_CASE("parity 36: who only looks finds the permits of the dead, too, a zombie's included") {
    const processes::shared<processes::bounded_semaphore> permits(1);
    Child holder([&] {
        permits->acquire();
        return ::pause();
    });
    until([&] { return permits->available() == 0; });
    CHECK_FALSE(permits->try_acquire());
    holder.kill_and_leave();
    CHECK(permits->try_acquire());
    CHECK_FALSE(permits->try_acquire());
}

TEST_CASE("parity 36: permits come back whenever their process is killed") {
    struct Stage {
        processes::bounded_semaphore permits{2};
        std::atomic<int> rounds = 0;
    };
    const processes::shared<Stage> stage;
    auto* const permits = &stage->permits;
    for (int i = 0; i < 50; ++i) {
        stage->rounds = 0;
        Child busy([&] {
            while (true) {
                permits->acquire();
                permits->release();
                ++stage->rounds;
            }
            return 0;
        });
        until([&] { return stage->rounds > i; });
        CHECK(busy.kill() == -SIGKILL);
    }
    CHECK(permits->try_acquire());
    CHECK(permits->try_acquire());
    CHECK_FALSE(permits->try_acquire());
    permits->release(2);
}

TEST_CASE("parity 36: between processes a permit is its taker's, and what another gives is new") {
    const processes::shared<processes::semaphore> permits(1);
    permits->acquire();
    Child other([&] {
        permits->release();
        return 0;
    });
    CHECK(other.join() == 0);
    permits->release();
    CHECK(permits->available() == 2);

    const processes::shared<processes::bounded_semaphore> bounded(1);
    bounded->acquire();
    Child stranger([&] {
        try {
            bounded->release();
        } catch (const std::logic_error&) {
            return 7;
        }
        return 0;
    });
    CHECK(stranger.join() == 7);
}

TEST_CASE("a semaphore between processes has room for a bounded number of holders") {
    const processes::shared<processes::semaphore> permits(1000);
    std::vector<Child> holders;
    for (std::size_t i = 0; i < processes::semaphore::most_holders; ++i) {
        holders.emplace_back([&] {
            permits->acquire();
            return ::pause();
        });
    }
    until([&] { return permits->available() == 1000 - std::ptrdiff_t{processes::semaphore::most_holders}; });
    CHECK_THROWS_AS(permits->acquire(), std::system_error);
    CHECK(holders.back().kill() == -SIGKILL);
    permits->acquire();
    permits->release();
}
