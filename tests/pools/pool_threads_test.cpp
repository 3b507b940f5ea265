// What only pools of threads have: parity 84 to 88, 91, 92, 94 to 96 and 104 to 106. The rest is in
// pool_test.cpp.
#include <doctest/doctest.h>
#include <pthread.h>

#include <array>
#include <atomic>
#include <barrier>
#include <latch>
#include <memory>
#include <numeric>
#include <ranges>
#include <semaphore>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "pools/thread_pool.hpp"
#include "tests/pools/pool_tasks.hpp"

using namespace confab;
using namespace std::chrono_literals;

namespace {

std::string thread_name() {
    std::array<char, 16> name{};
    pthread_getname_np(pthread_self(), name.data(), name.size());
    return name.data();
}

// Holds a worker until it is let go, and knows when it has got one.
class Gate {
  public:
    void pass() {
        entered_.release();
        open_.acquire();
        open_.release();
    }
    void wait_until_entered() { entered_.acquire(); }
    void open() { open_.release(); }

  private:
    std::counting_semaphore<> entered_{0};
    std::counting_semaphore<> open_{0};
};

}  // namespace

TEST_CASE("parity 84: tasks of a thread pool may refer to what is around them, and ranges may be read once") {
    thread_pool pool({.threads = 3});
    std::atomic<int> sum = 0;
    pool.map([&](int n) { sum += n; }, std::vector{1, 2, 3});
    CHECK(sum == 6);
    std::istringstream words("3 4");
    CHECK(pool.map(square, std::views::istream<int>(words)) == std::vector{9, 16});
}

TEST_CASE("default_chunk: about four chunks a worker") {
    CHECK(default_chunk(0, 4) == 1);
    CHECK(default_chunk(16, 4) == 1);
    CHECK(default_chunk(17, 4) == 2);
    CHECK(default_chunk(1600, 4) == 100);
}

TEST_CASE("parity 85: imap gives results in order and reads no further ahead than told") {
    thread_pool pool({.threads = 2});
    int read = 0;
    const auto counted = std::views::iota(0) | std::views::transform([&](int n) {
                             ++read;
                             return n;
                         });
    auto squares = pool.imap(square, counted, 3);
    CHECK(read == 0);
    for (int i = 0; i < 50; ++i) {
        CHECK(squares.next() == i * i);
        CHECK(read <= i + 3);
    }
}

TEST_CASE("parity 85: imap_unordered gives what is done first, and every result once") {
    thread_pool pool({.threads = 2});
    Gate gate;
    auto results = pool.imap_unordered(
        [&](int n) {
            if (n == 0) gate.pass();
            return n;
        },
        std::views::iota(0, 10));
    CHECK(results.next() != 0);
    gate.open();
    const std::vector<int> rest = drain(results);
    CHECK(rest.size() == 9);
    CHECK(std::set(rest.begin(), rest.end()).contains(0));
    CHECK(results.next().error() == channel_error::closed);
}

TEST_CASE("parity 86: a task's exception comes as it is, and of several that of the first element") {
    thread_pool pool({.threads = 2});
    CHECK_THROWS_WITH_AS(pool.apply(square_but_not_three, 3), "three", std::range_error);
    std::atomic<int> done = 0;
    const auto fail_at_first = [&](int n) {
        if (n == 0) throw std::range_error("zero");
        if (n == 50) throw std::domain_error("fifty");
        ++done;
    };
    CHECK_THROWS_WITH_AS(pool.map(fail_at_first, std::views::iota(0, 100), 1), "zero", std::range_error);
    CHECK(done == 98);
    CHECK_THROWS_AS(pool.map_async(fail_at_first, std::views::iota(0, 100), 1).result(), std::range_error);
    CHECK(done == 2 * 98);
}

TEST_CASE("parity 87: a range that throws midway is heard of, and the pool stays usable") {
    thread_pool pool({.threads = 2});
    const auto cut_short = std::views::iota(0, 10) | std::views::transform([](int n) {
                               if (n == 5) throw std::runtime_error("no more");
                               return n;
                           });
    CHECK_THROWS_WITH_AS(pool.map(square, cut_short, 1), "no more", std::runtime_error);
    CHECK_THROWS_WITH_AS(static_cast<void>(pool.map_async(square, cut_short, 1)), "no more",
                         std::runtime_error);
    auto ordered = pool.imap(square, cut_short, 2);
    std::vector<int> got;
    int thrown = 0;
    while (true) {
        try {
            const auto value = ordered.next();
            if (!value) break;
            got.push_back(*value);
        } catch (const std::runtime_error&) {
            ++thrown;
        }
    }
    CHECK(got == std::vector{0, 1, 4, 9, 16});
    CHECK(thrown == 1);
    CHECK(pool.apply(square, 2) == 4);
}

TEST_CASE("parity 88: callbacks are called by the pool's own thread") {
    std::string called_by;
    {
        thread_pool pool({.threads = 1, .name = "mine"});
        pool.apply_async(callbacks{.value = [&](int) { called_by = thread_name(); }}, square, 5);
    }
    CHECK(called_by == "mine_0");
}

TEST_CASE("parity 91: terminated, a thread pool asks what runs to stop") {
    thread_pool pool({.threads = 1});
    Gate gate;
    const auto running = pool.submit([&](const std::stop_token& stop) {
        gate.pass();
        return stop.stop_requested();
    });
    gate.wait_until_entered();
    pool.terminate();
    gate.open();
    pool.join();
    CHECK(running.result());
}

TEST_CASE("parity 92: at the end of its block a terminated pool has dropped what had not begun") {
    std::atomic<int> done = 0;
    Gate gate;
    {
        thread_pool pool({.threads = 1});
        pool.submit([&] { gate.pass(); });
        gate.wait_until_entered();
        for (int i = 0; i < 1000; ++i) pool.submit([&] { ++done; });
        pool.terminate();
        gate.open();
    }
    CHECK(done == 0);
}

// Parity 93 is about worker processes. A thread that dies takes its process with it, and a task that throws
// is parity 86.

TEST_CASE("parity 94: a thread does as many tasks as it may, and no more") {
    thread_pool pool({.threads = 1, .max_tasks_per_thread = 3});
    // Held by its thread until that ends, so that no two threads of the test have the same number.
    static std::atomic<int> numbers = 0;
    const auto number = [] {
        thread_local const int mine = numbers++;
        return mine;
    };
    std::vector<int> seen;
    for (int i = 0; i < 9; ++i) seen.push_back(pool.apply(number));
    CHECK(seen == std::vector{0, 0, 0, 1, 1, 1, 2, 2, 2});
}

TEST_CASE("parity 95: a thread pool takes references and what can only be moved") {
    thread_pool pool({.threads = 2});
    std::string text = "reference";
    const auto copied = pool.submit([](std::string& it) -> std::string& { return it; }, std::ref(text));
    CHECK(copied.result() == "reference");
    CHECK(*pool.submit([](std::unique_ptr<int> it) { return it; }, std::make_unique<int>(3)).take() == 3);
}

TEST_CASE("parity 96: who is asked to stop can be told at once, and a canceled task never runs") {
    thread_pool pool({.threads = 1});
    Gate gate;
    const auto deaf = pool.submit([&] { gate.pass(); });
    gate.wait_until_entered();
    std::atomic<bool> has_run = false;
    const auto pending = pool.submit([&] { has_run = true; });
    const auto polite = pool.submit([&](const std::stop_token& stop) {
        gate.pass();
        std::binary_semaphore stopped(0);
        const std::stop_callback notice(stop, [&] { stopped.release(); });
        stopped.acquire();
        return 5;
    });
    CHECK(deaf.status() == future_status::running);
    CHECK(deaf.cancel() == cancellation::too_late);
    CHECK(pending.cancel() == cancellation::canceled);
    CHECK(pending.status() == future_status::canceled);
    gate.open();
    gate.wait_until_entered();
    CHECK(polite.cancel() == cancellation::requested);
    CHECK(polite.result() == 5);
    pool.shutdown();
    CHECK_FALSE(has_run);
}

TEST_CASE("what a task held is free when its result is there") {
    thread_pool pool({.threads = 1});
    const auto witness = std::make_shared<int>();
    const auto result = pool.submit([witness] {});
    result.wait();
    CHECK(witness.use_count() == 1);
    const auto bad =
        pool.submit([](const std::shared_ptr<int>&) { throw std::runtime_error("bad"); }, witness);
    CHECK(bad.exception() != nullptr);
    CHECK(witness.use_count() == 1);
}

TEST_CASE("parity 104: threads have names") {
    thread_pool pool({.threads = 4, .name = "demand"});
    std::barrier<> together(4);
    std::vector<future<std::string>> names;
    for (int i = 0; i < 4; ++i) {
        names.push_back(pool.submit([&] {
            together.arrive_and_wait();
            return thread_name();
        }));
    }
    std::set<std::string> seen;
    for (const auto& each : names) seen.insert(each.result());
    CHECK(seen == std::set<std::string>{"demand_0", "demand_1", "demand_2", "demand_3"});
}

TEST_CASE("parity 105: a task that waits for a task of its pool works on it itself") {
    thread_pool pool({.threads = 1});
    const std::function<int(int)> fibonacci = [&](int n) -> int {
        if (n < 2) return n;
        const auto left = pool.submit(fibonacci, n - 1);
        const auto right = pool.submit(fibonacci, n - 2);
        return left.result() + right.result();
    };
    CHECK(pool.apply(fibonacci, 10) == 55);
    CHECK(pool.apply([&] { return pool.map(square, std::views::iota(0, 10)).size(); }) == 10);
    CHECK(pool.apply([&] {
        const std::vector all{pool.submit(square, 1), pool.submit(square, 2)};
        return wait_first(all).done.size() + wait_all(all).done.size();
    }) >= 3);
    CHECK(pool.apply([&] {
        auto results = pool.imap_unordered(square, std::views::iota(0, 10));
        return drain(results).size();
    }) == 10);
}

TEST_CASE("parity 105: a wait that could never end is an error of the task that would close the circle") {
    thread_pool pool({.threads = 2});
    promise<future<int>> first_itself;
    const auto first = pool.submit([&]() -> int { return first_itself.get_future().result().result(); });
    CHECK(first_itself.set_value(first));
    CHECK_THROWS_AS(static_cast<void>(first.result()), std::logic_error);

    promise<future<int>> one;
    promise<future<int>> other;
    const auto wait_for = [](const future<future<int>>& it) { return it.result().result(); };
    const auto one_future = pool.submit(wait_for, other.get_future());
    const auto other_future = pool.submit(wait_for, one.get_future());
    CHECK(one.set_value(one_future));
    CHECK(other.set_value(other_future));
    CHECK_THROWS_AS(static_cast<void>(one_future.result()), std::logic_error);
    CHECK_THROWS_AS(static_cast<void>(other_future.result()), std::logic_error);

    CHECK_THROWS_AS(pool.apply([&] { pool.join(); }), std::logic_error);
}

TEST_CASE("parity 106: what a broken thread pool had queued fails with what its initializer threw") {
    Gate gate;
    thread_pool broken({.threads = 1, .initializer = [&] {
                            gate.pass();
                            throw std::runtime_error("no licence");
                        }});
    std::vector<future<int>> queued;
    for (int i = 0; i < 3; ++i) queued.push_back(broken.submit(square, i));
    gate.open();
    for (const auto& each : queued) CHECK_THROWS_AS(static_cast<void>(each.result()), broken_pool);
    CHECK_THROWS_AS(broken.submit(square, 1), broken_pool);
    try {
        std::rethrow_exception(queued[0].exception());
    } catch (const broken_pool& reason) {
        CHECK_THROWS_WITH_AS(std::rethrow_if_nested(reason), "no licence", std::runtime_error);
    }
}

TEST_CASE("many threads submit, cancel, wait and shut down at once, and every future ends") {
    for (int round = 0; round < 20; ++round) {
        std::atomic<int> ended = 0;
        std::atomic<int> submitted = 0;
        thread_pool pool({.threads = 3, .max_tasks_per_thread = 10});
        std::vector<std::jthread> users;
        for (int user = 0; user < 3; ++user) {
            users.emplace_back([&, user] {
                try {
                    for (int i = 0;; ++i) {
                        const auto it = pool.submit(square, i);
                        ++submitted;
                        it.on_done([&](const auto&) { ++ended; });
                        if (i % 3 == user) it.cancel();
                        if (i % 7 == user && !it.done()) it.wait();
                    }
                } catch (const std::logic_error&) {
                    // closed
                }
            });
        }
        while (submitted < 300) std::this_thread::yield();
        if (round % 2 == 0) {
            pool.terminate();
        } else {
            pool.shutdown();
        }
        users.clear();
        pool.join();
        CHECK(ended == submitted);
    }
}
