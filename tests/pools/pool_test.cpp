// What every pool promises, of threads and of processes: parity 84 to 86, 88 to 92, 94 to 96, 100 to 102, 104
// and 106. What the tasks of both see lies in shared memory.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <ranges>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "pools/process_pool.hpp"
#include "pools/thread_pool.hpp"
#include "tests/pools/pool_tasks.hpp"
#include "tests/support/child.hpp"

using namespace confab;
using namespace std::chrono_literals;

namespace {

struct OfThreads {
    using Pool = thread_pool;
    using Error = std::range_error;  // of the task's, as it comes out
    static Pool::options options(std::size_t workers) { return {.threads = workers}; }
    static Pool::options recycled_after(std::size_t tasks) {
        return {.threads = 2, .max_tasks_per_thread = tasks};
    }
    template <class Initializer>
    static Pool::options initialized(Initializer initializer) {
        return {.threads = 1, .max_tasks_per_thread = 1, .initializer = initializer};
    }
    static std::size_t workers(const Pool& pool) { return pool.thread_count(); }
};

struct OfProcesses {
    using Pool = process_pool;
    using Error = remote_error;
    static Pool::options options(std::size_t workers) { return {.processes = workers}; }
    static Pool::options recycled_after(std::size_t tasks) {
        return {.processes = 2, .max_tasks_per_worker = tasks};
    }
    template <class Initializer>
    static Pool::options initialized(Initializer initializer) {
        return {.processes = 1, .max_tasks_per_worker = 1, .initializer = initializer};
    }
    static std::size_t workers(const Pool& pool) { return pool.worker_pids().size(); }
};

std::vector<int> squares(int count) {
    std::vector<int> all;
    for (int i = 0; i < count; ++i) all.push_back(i * i);
    return all;
}

std::atomic<int> unheard = 0;

}  // namespace

TYPE_TO_STRING(OfThreads);
TYPE_TO_STRING(OfProcesses);

#define CONFAB_EVERY_POOL OfThreads, OfProcesses

TEST_CASE_TEMPLATE("parity 84: apply and map give results in the order of what they were given", Kind,
                   CONFAB_EVERY_POOL) {
    typename Kind::Pool pool(Kind::options(3));
    CHECK(pool.apply(square, 5) == 25);
    CHECK(pool.apply([](const std::string& one, const std::string& other) { return one + other; }, "a",
                     "b") == "ab");
    for (const std::size_t chunk : {0U, 1U, 7U, 100U, 1000U})
        CHECK(pool.map(square, std::views::iota(0, 100), chunk) == squares(100));
    CHECK(pool.map([](int n) { return n * n; }, std::views::iota(0, 100)) == squares(100));
    CHECK(pool.map_async(square, std::views::iota(0, 100)).result() == squares(100));
    const std::vector<std::pair<int, int>> pairs{{5, 3}, {2, 1}};
    CHECK(pool.starmap([](int one, int other) { return one - other; }, pairs) == std::vector{2, 1});
    CHECK(pool.starmap(+[](int one, int other) { return one * other; }, pairs) == std::vector{15, 2});
}

TEST_CASE_TEMPLATE("parity 84: of nothing comes nothing, at once; a pool of no workers is refused", Kind,
                   CONFAB_EVERY_POOL) {
    using Pool = Kind::Pool;
    Pool pool(Kind::options(2));
    CHECK(pool.map(square, std::vector<int>()).empty());
    CHECK(pool.map_async(square, std::vector<int>()).result().empty());
    auto ordered = pool.imap(square, std::vector<int>());
    CHECK(ordered.next().error() == channel_error::closed);
    CHECK(Kind::workers(pool) == 0);
    CHECK_THROWS_AS(Pool(Kind::options(0)), std::invalid_argument);
    CHECK_THROWS_AS(Pool(Kind::recycled_after(0)), std::invalid_argument);
}

TEST_CASE_TEMPLATE("parity 85: imap gives results in order, imap_unordered every one once", Kind,
                   CONFAB_EVERY_POOL) {
    typename Kind::Pool pool(Kind::options(2));
    auto ordered = pool.imap(square, std::views::iota(0, 20), 4);
    CHECK(drain(ordered) == squares(20));
    auto unordered = pool.imap_unordered(square, std::views::iota(0, 20));
    std::vector<int> sorted = drain(unordered);
    std::ranges::sort(sorted);
    CHECK(sorted == squares(20));
    CHECK(unordered.next().error() == channel_error::closed);
}

TEST_CASE_TEMPLATE("parity 85: after an element that fails the next ones come", Kind, CONFAB_EVERY_POOL) {
    typename Kind::Pool pool(Kind::options(2));
    auto ordered = pool.imap(square_but_not_three, std::views::iota(2, 6));
    CHECK(ordered.next() == 4);
    CHECK_THROWS_AS(static_cast<void>(ordered.next()), typename Kind::Error);
    CHECK(ordered.next() == 16);
    CHECK(ordered.next() == 25);
    CHECK(ordered.next().error() == channel_error::closed);

    auto unordered = pool.imap_unordered(square_but_not_three, std::views::iota(0, 10));
    int got = 0;
    int failed = 0;
    while (true) {
        try {
            if (!unordered.next()) break;
            ++got;
        } catch (const typename Kind::Error&) {
            ++failed;
        }
    }
    CHECK(got == 9);
    CHECK(failed == 1);
}

TEST_CASE_TEMPLATE("parity 86: a task's exception comes out, and map lets the others go on", Kind,
                   CONFAB_EVERY_POOL) {
    wipe_board();
    typename Kind::Pool pool(Kind::options(2));
    CHECK_THROWS_AS(pool.apply(square_but_not_three, 3), typename Kind::Error);
    const auto count = [](int n) {
        if (n == 3) throw std::range_error("three");
        ++board->ended;
    };
    CHECK_THROWS_AS(pool.map(count, std::views::iota(0, 100), 1), typename Kind::Error);
    CHECK(board->ended == 99);
    CHECK_THROWS_AS(pool.map_async(count, std::views::iota(0, 100), 1).result(), typename Kind::Error);
    CHECK(board->ended == 2 * 99);
}

TEST_CASE_TEMPLATE("parity 88: of value and error the right callback is called, once, in the program", Kind,
                   CONFAB_EVERY_POOL) {
    std::atomic<int> values = 0;
    std::atomic<int> errors = 0;
    {
        typename Kind::Pool pool(Kind::options(1));
        const auto add = [&](int value) { values += value; };
        const auto count = [&](const std::exception_ptr&) { ++errors; };
        pool.apply_async(callbacks{.value = add, .error = count}, square, 5);
        pool.apply_async(callbacks{.value = add, .error = count}, square_but_not_three, 3);
        pool.apply_async(callbacks{.value = add}, square_but_not_three, 3);
        pool.apply_async(callbacks{.error = count}, square, 3);
        pool.apply_async(callbacks{.value = [&] { ++values; }}, [] {});
        const auto add_all = [&](const std::vector<int>& all) {
            for (const int each : all) values += each;
        };
        pool.map_async(callbacks{.value = add_all}, square, std::vector{1, 2, 3});
    }
    CHECK(values == 25 + 1 + 14);
    CHECK(errors == 1);
}

TEST_CASE_TEMPLATE("parity 89: a callback that throws is reported, and the pool works on", Kind,
                   CONFAB_EVERY_POOL) {
    unheard = 0;
    const auto before = on_unheard_exception([](const std::exception_ptr&) noexcept { ++unheard; });
    {
        typename Kind::Pool pool(Kind::options(1));
        const auto result = pool.apply_async(
            callbacks{.value = [](int) { throw std::runtime_error("callback"); }}, square, 5);
        CHECK(result.result() == 25);
        for (int i = 0; i < 10; ++i) CHECK(pool.apply(square, i) == i * i);
    }
    on_unheard_exception(before);
    CHECK(unheard == 1);
}

TEST_CASE_TEMPLATE(
    "parity 90: a wait that runs out leaves the task at work, and success is known when it is done", Kind,
    CONFAB_EVERY_POOL) {
    wipe_board();
    typename Kind::Pool pool(Kind::options(1));
    const auto slow = pool.submit(hold, 5);
    CHECK_FALSE(slow.wait_for(1ms));
    CHECK(slow.result_for(1ms) == nullptr);
    CHECK_THROWS_AS(static_cast<void>(slow.successful()), std::logic_error);
    board->open = 1;
    CHECK(slow.result() == 5);
    CHECK(slow.successful());
}

TEST_CASE_TEMPLATE("parity 91: closed, a pool takes nothing and finishes what it has; join wants it closed",
                   Kind, CONFAB_EVERY_POOL) {
    typename Kind::Pool pool(Kind::options(2));
    std::vector<future<int>> all;
    for (int i = 0; i < 100; ++i) all.push_back(pool.submit(square, i));
    CHECK_THROWS_AS(pool.join(), std::logic_error);
    pool.close();
    pool.close();
    CHECK_THROWS_AS(pool.submit(square, 1), std::logic_error);
    pool.join();
    pool.join();
    for (int i = 0; i < 100; ++i) CHECK(all[static_cast<std::size_t>(i)].result() == i * i);
    CHECK(Kind::workers(pool) == 0);
}

TEST_CASE_TEMPLATE("parity 91: terminated with ten thousand tasks, a pool drops what has not begun", Kind,
                   CONFAB_EVERY_POOL) {
    wipe_board();
    typename Kind::Pool pool(Kind::options(1));
    pool.submit(hold, 1);
    std::vector<future<int>> pending;
    for (int i = 0; i < 10'000; ++i) pending.push_back(pool.submit(square, i));
    until([] { return board->begun == 1; });
    pool.terminate();
    pool.terminate();
    for (const auto& each : pending) CHECK_THROWS_AS(static_cast<void>(each.result()), future_canceled);
    board->open = 1;
    pool.join();
    CHECK_THROWS_AS(pool.submit(square, 1), std::logic_error);
}

TEST_CASE_TEMPLATE("parity 92: at the end of its block a pool finishes what was submitted", Kind,
                   CONFAB_EVERY_POOL) {
    std::vector<future<int>> results;
    {
        typename Kind::Pool pool(Kind::options(2));
        for (int i = 0; i < 1000; ++i) results.push_back(pool.submit(square, i));
    }
    for (int i = 0; i < 1000; ++i) CHECK(results[static_cast<std::size_t>(i)].result() == i * i);
}

TEST_CASE_TEMPLATE("parity 94: when workers are replaced after their number of tasks, no task is lost", Kind,
                   CONFAB_EVERY_POOL) {
    typename Kind::Pool pool(Kind::recycled_after(3));
    std::vector<future<int>> results;
    for (int i = 0; i < 101; ++i) results.push_back(pool.submit(square, i));
    pool.close();  // at once, with much still queued
    pool.join();
    for (int i = 0; i < 101; ++i) CHECK(results[static_cast<std::size_t>(i)].result() == i * i);
}

TEST_CASE_TEMPLATE("parity 95: submit gives a result, or the exception that the task threw", Kind,
                   CONFAB_EVERY_POOL) {
    typename Kind::Pool pool(Kind::options(2));
    CHECK(pool.submit(square, 3).result() == 9);
    const auto bad = pool.submit(square_but_not_three, 3);
    CHECK_THROWS_AS(static_cast<void>(bad.result()), typename Kind::Error);
    CHECK(bad.exception() != nullptr);
}

TEST_CASE_TEMPLATE("parity 96: a pending task is canceled, a running one is asked to stop if it can be", Kind,
                   CONFAB_EVERY_POOL) {
    wipe_board();
    typename Kind::Pool pool(Kind::options(1));
    const auto stoppable = pool.submit(
        [](const std::stop_token& stop, int value) {
            ++board->begun;
            while (!stop.stop_requested()) ::sched_yield();
            return value;
        },
        5);
    const auto pending = pool.submit(square, 2);
    until([] { return board->begun == 1; });
    CHECK(pending.cancel() == cancellation::canceled);
    CHECK(pending.status() == future_status::canceled);
    CHECK(stoppable.cancel() == cancellation::requested);
    CHECK(stoppable.result() == 5);
    const auto deaf = pool.submit(hold, 6);
    until([] { return board->begun == 2; });
    CHECK(deaf.status() == future_status::running);
    CHECK(deaf.cancel() == cancellation::too_late);
    board->open = 1;
    CHECK(deaf.result() == 6);
    CHECK_THROWS_AS(static_cast<void>(pending.result()), future_canceled);
}

TEST_CASE_TEMPLATE(
    "parity 100: what is late in a mapping can be given up, and what has not begun then never does", Kind,
    CONFAB_EVERY_POOL) {
    wipe_board();
    typename Kind::Pool pool(Kind::options(1));
    {
        auto results = pool.imap(hold, std::views::iota(0, 100), 10);
        CHECK(results.next_for(1ms).error() == channel_error::empty);
        until([] { return board->begun == 1; });
    }
    board->open = 1;
    pool.shutdown();
    CHECK(board->begun == 1);
}

TEST_CASE_TEMPLATE("parity 101: the waits for first and all work on what a pool does", Kind,
                   CONFAB_EVERY_POOL) {
    wipe_board();
    typename Kind::Pool pool(Kind::options(2));
    const std::vector<future<int>> all{pool.submit(hold, 0), pool.submit(square, 1)};
    CHECK(wait_first(all).done == std::vector{all[1]});
    board->open = 1;
    CHECK(wait_all(all).not_done.empty());
}

TEST_CASE_TEMPLATE("parity 102: a shutdown refuses, finishes or drops, and waits or not, as it is told", Kind,
                   CONFAB_EVERY_POOL) {
    {
        wipe_board();
        typename Kind::Pool pool(Kind::options(1));
        const auto running = pool.submit(hold, 1);
        until([] { return board->begun == 1; });
        const auto queued = pool.submit(square, 2);
        pool.shutdown({.wait = false});
        CHECK_THROWS_AS(pool.submit(square, 1), std::logic_error);
        CHECK(queued.status() == future_status::pending);
        board->open = 1;
        pool.shutdown();
        pool.shutdown();
        CHECK(running.result() == 1);
        CHECK(queued.result() == 4);
    }
    wipe_board();
    typename Kind::Pool other(Kind::options(1));
    const auto held = other.submit(hold, 7);
    until([] { return board->begun == 1; });
    const auto dropped = other.submit(square, 2);
    other.shutdown({.wait = false, .cancel_pending = true});
    CHECK(dropped.status() == future_status::canceled);
    board->open = 1;
    other.join();
    CHECK(held.result() == 7);
}

TEST_CASE_TEMPLATE("parity 104: workers come on demand, and idle ones are used again", Kind,
                   CONFAB_EVERY_POOL) {
    wipe_board();
    typename Kind::Pool pool(Kind::options(3));
    CHECK(pool.size() == 3);
    CHECK(Kind::workers(pool) == 0);
    for (int i = 0; i < 10; ++i) CHECK(pool.apply(square, i) == i * i);
    CHECK(Kind::workers(pool) <= 2);
    std::vector<future<int>> results;
    for (int i = 0; i < 3; ++i) results.push_back(pool.submit(hold, i));
    until([] { return board->begun == 3; });
    CHECK(Kind::workers(pool) == 3);
    board->open = 1;
}

TEST_CASE_TEMPLATE("parity 106: an initializer runs first in each worker; if it throws, the pool is broken",
                   Kind, CONFAB_EVERY_POOL) {
    wipe_board();
    {
        typename Kind::Pool pool(Kind::initialized([] { ++board->initialized; }));
        CHECK(pool.apply([] { return board->initialized.load(); }) == 1);
        CHECK(pool.apply([] { return board->initialized.load(); }) == 2);
    }
    typename Kind::Pool broken(Kind::initialized([] { throw std::runtime_error("not today"); }));
    const auto result = broken.submit(square, 2);
    CHECK_THROWS_AS(static_cast<void>(result.result()), broken_pool);
    CHECK_THROWS_AS(broken.submit(square, 2), broken_pool);
}
