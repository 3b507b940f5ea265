#include "pools/offload.hpp"

#include <doctest/doctest.h>
#include <signal.h>

#include <atomic>
#include <deque>
#include <latch>
#include <thread>
#include <vector>

using namespace confab;

namespace {

// Counts itself and, if there is one, waits at a latch.
struct Step : Offload::Work {
    explicit Step(std::atomic<int>& counter, std::latch* gate = nullptr)
        : Work([](Work& work) noexcept {
              auto& self = static_cast<Step&>(work);
              if (self.latch != nullptr) self.latch->arrive_and_wait();
              ++self.count;
          }),
          count(counter),
          latch(gate) {}
    std::atomic<int>& count;
    std::latch* latch;
};

}  // namespace

TEST_CASE("a pool of helper threads runs all that is submitted before it dies") {
    std::atomic<int> count = 0;
    std::deque<Step> steps;
    {
        Offload pool({.max_threads = 3});
        CHECK(pool.thread_count() == 0);
        for (int i = 0; i < 1000; ++i) pool.submit(steps.emplace_back(count));
        CHECK(pool.thread_count() <= 3);
    }
    CHECK(count == 1000);
}

TEST_CASE("a pool has as many threads as work waits, up to its bound") {
    std::atomic<int> count = 0;
    std::latch all_at_once(4);  // opens only if four run at the same time
    std::deque<Step> steps;
    Offload pool({.max_threads = 4});
    for (int i = 0; i < 4; ++i) pool.submit(steps.emplace_back(count, &all_at_once));
    all_at_once.wait();
    CHECK(pool.thread_count() == 4);
}

TEST_CASE("a thread that was idle for its time ends, and another comes when there is work again") {
    std::atomic<int> count = 0;
    std::deque<Step> steps;
    Offload pool({.max_threads = 2, .idle_time = std::chrono::milliseconds(0)});
    for (int i = 1; i <= 20; ++i) {
        pool.submit(steps.emplace_back(count));
        while (count < i || pool.thread_count() > 0) std::this_thread::yield();
    }
    CHECK(count == 20);
}

TEST_CASE("work that has not begun can be withdrawn, work that has cannot") {
    std::atomic<int> count = 0;
    std::latch begun(2);
    std::latch may_end(2);
    Step first(count, &begun);
    Step second(count, &may_end);
    Step third(count);
    Step last(count);
    {
        Offload pool({.max_threads = 1});
        pool.submit(first);
        begun.arrive_and_wait();
        pool.submit(second);
        pool.submit(third);
        pool.submit(last);
        CHECK(pool.withdraw(third));
        CHECK_FALSE(pool.withdraw(third));
        CHECK_FALSE(pool.withdraw(first));
        may_end.arrive_and_wait();
    }
    CHECK(count == 3);
}

TEST_CASE("many threads may submit at once") {
    std::atomic<int> count = 0;
    {
        Offload pool({.max_threads = 4, .idle_time = std::chrono::milliseconds(0)});
        std::vector<std::jthread> submitters;
        for (int thread = 0; thread < 4; ++thread) {
            submitters.emplace_back([&pool, &count] {
                std::deque<Step> steps;
                std::atomic<int> own = 0;
                for (int i = 0; i < 250; ++i) pool.submit(steps.emplace_back(own));
                while (own < 250) std::this_thread::yield();
                count += own;
            });
        }
    }
    CHECK(count == 1000);
}

TEST_CASE("helper threads take no signals, and the submitter goes on taking its own") {
    struct Look : Offload::Work {
        Look()
            : Work([](Work& work) noexcept {
                  pthread_sigmask(SIG_SETMASK, nullptr, &static_cast<Look&>(work).mask);
              }) {}
        sigset_t mask{};
    };
    Look look;
    {
        Offload().submit(look);
    }
    CHECK(sigismember(&look.mask, SIGTERM) == 1);
    CHECK(sigismember(&look.mask, SIGUSR1) == 1);
    sigset_t own{};
    pthread_sigmask(SIG_SETMASK, nullptr, &own);
    CHECK(sigismember(&own, SIGTERM) == 0);
}
