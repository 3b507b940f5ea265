// Thread pools: parity 84 to 106.
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

using namespace confab;
using namespace std::chrono_literals;

namespace {

int square(int n) { return n * n; }

int square_but_not_three(int n) {
    if (n == 3) throw std::range_error("three");
    return n * n;
}

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

template <class Mapping>
std::vector<int> drain(Mapping& results) {
    std::vector<int> values;
    while (const auto value = results.next()) values.push_back(*value);
    return values;
}

std::atomic<int> unheard = 0;

}  // namespace

TEST_CASE("parity 84: apply and map give results in the order of what they were given") {
    thread_pool pool({.threads = 3});
    CHECK(pool.apply(square, 5) == 25);
    CHECK(pool.apply([](const std::string& one, std::string_view other) { return one + std::string(other); },
                     "a", "b") == "ab");
    std::vector<int> expected;
    for (int i = 0; i < 100; ++i) expected.push_back(i * i);
    for (const std::size_t chunk : {0U, 1U, 7U, 100U, 1000U})
        CHECK(pool.map(square, std::views::iota(0, 100), chunk) == expected);
    CHECK(pool.map_async(square, std::views::iota(0, 100)).result() == expected);
    CHECK(pool.starmap([](int one, int other) { return one - other; },
                       std::vector<std::pair<int, int>>{{5, 3}, {2, 1}}) == std::vector{2, 1});
    std::atomic<int> sum = 0;
    pool.map([&](int n) { sum += n; }, std::vector{1, 2, 3});
    CHECK(sum == 6);
    std::istringstream words("3 4");
    CHECK(pool.map(square, std::views::istream<int>(words)) == std::vector{9, 16});
}

TEST_CASE("parity 84: of nothing comes nothing, at once; a pool of no threads is refused") {
    thread_pool pool({.threads = 2});
    CHECK(pool.map(square, std::vector<int>()).empty());
    CHECK(pool.map_async(square, std::vector<int>()).result().empty());
    auto ordered = pool.imap(square, std::vector<int>());
    CHECK(ordered.next().error() == channel_error::closed);
    CHECK(pool.thread_count() == 0);
    CHECK_THROWS_AS(thread_pool({.threads = 0}), std::invalid_argument);
    CHECK_THROWS_AS(thread_pool({.max_tasks_per_thread = 0}), std::invalid_argument);
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

TEST_CASE("parity 85: a result that is late is told to be, and comes later") {
    thread_pool pool({.threads = 1});
    Gate gate;
    const auto wait = [&](int n) {
        gate.pass();
        return n;
    };
    auto ordered = pool.imap(wait, std::vector{1});
    CHECK(ordered.next_for(1ms).error() == channel_error::empty);
    CHECK(ordered.next_for(-1s).error() == channel_error::empty);
    auto unordered = pool.imap_unordered(wait, std::vector{2});
    CHECK(unordered.next_for(1ms).error() == channel_error::empty);
    gate.open();
    CHECK(ordered.next() == 1);
    CHECK(unordered.next_for(Duration::max()) == 2);
}

TEST_CASE("parity 85: after an element that fails the next ones come") {
    thread_pool pool({.threads = 2});
    auto ordered = pool.imap(square_but_not_three, std::views::iota(2, 6));
    CHECK(ordered.next() == 4);
    CHECK_THROWS_AS(static_cast<void>(ordered.next()), std::range_error);
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
        } catch (const std::range_error&) {
            ++failed;
        }
    }
    CHECK(got == 9);
    CHECK(failed == 1);
}

TEST_CASE("parity 86: a task's exception comes as it is, and map lets the others go on") {
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

TEST_CASE("parity 88: of value and error the right callback is called, once, by the pool's own thread") {
    std::atomic<int> values = 0;
    std::atomic<int> errors = 0;
    std::string called_by;
    {
        thread_pool pool({.threads = 1, .name = "mine"});
        const auto count_value = [&](int value) {
            values += value;
            called_by = thread_name();
        };
        const auto count_error = [&](const std::exception_ptr&) { ++errors; };
        pool.apply_async(callbacks{.value = count_value, .error = count_error}, square, 5);
        pool.apply_async(callbacks{.value = count_value, .error = count_error}, square_but_not_three, 3);
        pool.apply_async(callbacks{.value = count_value}, square_but_not_three, 3);
        pool.apply_async(callbacks{.error = count_error}, square, 3);
        pool.apply_async(callbacks{.value = [&] { ++values; }}, [] {});
        const auto sum = [&](const std::vector<int>& all) {
            values += std::accumulate(all.begin(), all.end(), 0);
        };
        pool.map_async(callbacks{.value = sum}, square, std::vector{1, 2, 3});
        CHECK_THROWS(
            pool.map_async(callbacks{.error = count_error}, square_but_not_three, std::vector{1, 2, 3})
                .result());
    }
    CHECK(values == 25 + 1 + 14);
    CHECK(errors == 2);
    CHECK(called_by == "mine_0");
}

TEST_CASE("parity 89: a callback that throws is reported, and the pool works on") {
    unheard = 0;
    const auto before = on_unheard_exception([](const std::exception_ptr&) noexcept { ++unheard; });
    {
        thread_pool pool({.threads = 1});
        const auto result = pool.apply_async(
            callbacks{.value = [](int) { throw std::runtime_error("callback"); }}, square, 5);
        CHECK(result.result() == 25);
        for (int i = 0; i < 10; ++i) CHECK(pool.apply(square, i) == i * i);
    }
    on_unheard_exception(before);
    CHECK(unheard == 1);
}

TEST_CASE("parity 90: a wait that runs out leaves the task at work, and success is known when it is done") {
    thread_pool pool({.threads = 1});
    Gate gate;
    const auto slow = pool.submit([&] {
        gate.pass();
        return 1;
    });
    CHECK(slow.result_for(1ms) == nullptr);
    CHECK_THROWS_AS(static_cast<void>(slow.successful()), std::logic_error);
    gate.open();
    CHECK(slow.result() == 1);
    CHECK(slow.successful());
}

TEST_CASE("parity 91: closed, a pool takes nothing and finishes what it has; join wants it closed") {
    std::atomic<int> done = 0;
    thread_pool pool({.threads = 2});
    for (int i = 0; i < 100; ++i) pool.submit([&] { ++done; });
    CHECK_THROWS_AS(pool.join(), std::logic_error);
    pool.close();
    pool.close();
    CHECK_THROWS_AS(pool.submit(square, 1), std::logic_error);
    pool.join();
    pool.join();
    CHECK(done == 100);
    CHECK(pool.thread_count() == 0);
}

TEST_CASE("parity 91: terminated, a pool drops what has not begun, and asks what runs to stop") {
    thread_pool pool({.threads = 1});
    Gate gate;
    const auto running = pool.submit([&](const std::stop_token& stop) {
        gate.pass();
        return stop.stop_requested();
    });
    std::vector<future<int>> queued;
    for (int i = 0; i < 10'000; ++i) queued.push_back(pool.submit(square, i));
    gate.wait_until_entered();
    pool.terminate();
    pool.terminate();
    for (const auto& each : queued) CHECK_THROWS_AS(static_cast<void>(each.result()), future_canceled);
    gate.open();
    pool.join();
    CHECK(running.result());
    CHECK_THROWS_AS(pool.submit(square, 1), std::logic_error);
}

TEST_CASE("parity 92: at the end of its block a pool finishes what was submitted, unless terminated") {
    std::atomic<int> done = 0;
    {
        thread_pool pool({.threads = 2});
        for (int i = 0; i < 1000; ++i) pool.submit([&] { ++done; });
    }
    CHECK(done == 1000);
    Gate gate;
    {
        thread_pool pool({.threads = 1});
        pool.submit([&] { gate.pass(); });
        gate.wait_until_entered();
        for (int i = 0; i < 1000; ++i) pool.submit([&] { ++done; });
        pool.terminate();
        gate.open();
    }
    CHECK(done == 1000);
}

// Parity 93 is about worker processes. A thread that dies takes its process with it, and a task that throws
// is parity 86.

TEST_CASE("parity 94: after its number of tasks a thread is replaced, and no task is lost") {
    thread_pool pool({.threads = 2, .max_tasks_per_thread = 3});
    std::vector<future<std::thread::id>> ids;
    for (int i = 0; i < 300; ++i) ids.push_back(pool.submit([] { return std::this_thread::get_id(); }));
    for (const auto& each : ids) each.wait();
    CHECK(pool.thread_count() <= 2);

    // Closed at once, with much still queued.
    thread_pool early({.threads = 1, .max_tasks_per_thread = 2});
    std::atomic<int> done = 0;
    for (int i = 0; i < 101; ++i) early.submit([&] { ++done; });
    early.close();
    early.join();
    CHECK(done == 101);
}

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

TEST_CASE("parity 95: submit gives a result, or the exception that the task threw") {
    thread_pool pool({.threads = 2});
    CHECK(pool.submit(square, 3).result() == 9);
    const auto bad = pool.submit(square_but_not_three, 3);
    CHECK_THROWS_WITH_AS(static_cast<void>(bad.result()), "three", std::range_error);
    CHECK(bad.exception() != nullptr);
    std::string text = "reference";
    const auto copied = pool.submit([](std::string& it) -> std::string& { return it; }, std::ref(text));
    CHECK(copied.result() == "reference");
    CHECK(*pool.submit([](std::unique_ptr<int> it) { return it; }, std::make_unique<int>(3)).take() == 3);
}

TEST_CASE("parity 96: a pending task is canceled, a running one is asked to stop if it can be") {
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

TEST_CASE("parity 100: what is late in a mapping can be given up, and what has not begun then never does") {
    thread_pool pool({.threads = 1});
    Gate gate;
    std::atomic<int> begun = 0;
    {
        auto results = pool.imap(
            [&](int n) {
                ++begun;
                gate.pass();
                return n;
            },
            std::views::iota(0, 100), 10);
        CHECK(results.next_for(1ms).error() == channel_error::empty);
        gate.wait_until_entered();
    }
    gate.open();
    pool.shutdown();
    CHECK(begun == 1);
}

TEST_CASE("parity 101: the waits for first and all work on what a pool does") {
    thread_pool pool({.threads = 2});
    Gate gate;
    std::vector<future<int>> all;
    all.push_back(pool.submit([&] {
        gate.pass();
        return 0;
    }));
    all.push_back(pool.submit(square, 1));
    CHECK(wait_first(all).done == std::vector{all[1]});
    gate.open();
    CHECK(wait_all(all).not_done.empty());
}

TEST_CASE("parity 102: a shutdown refuses, finishes or drops, and waits or not, as it is told") {
    Gate gate;
    std::atomic<int> done = 0;
    thread_pool pool({.threads = 1});
    pool.submit([&] { gate.pass(); });
    gate.wait_until_entered();
    const auto queued = pool.submit([&] { return ++done; });
    pool.shutdown({.wait = false});
    CHECK_THROWS_AS(pool.submit(square, 1), std::logic_error);
    CHECK(queued.status() == future_status::pending);
    gate.open();
    pool.shutdown();
    pool.shutdown();
    CHECK(queued.result() == 1);

    Gate second_gate;
    thread_pool other({.threads = 1});
    const auto running = other.submit([&] {
        second_gate.pass();
        return 7;
    });
    second_gate.wait_until_entered();
    const auto dropped = other.submit(square, 1);
    other.shutdown({.wait = false, .cancel_pending = true});
    CHECK(dropped.status() == future_status::canceled);
    second_gate.open();
    other.join();
    CHECK(running.result() == 7);
}

TEST_CASE("parity 104: threads come on demand, idle ones are used again, and they have names") {
    thread_pool pool({.threads = 4, .name = "demand"});
    CHECK(pool.size() == 4);
    CHECK(pool.thread_count() == 0);
    for (int i = 0; i < 10; ++i) CHECK(pool.apply(square, i) == i * i);
    CHECK(pool.thread_count() <= 2);
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
    CHECK(pool.thread_count() == 4);
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

TEST_CASE("parity 106: an initializer runs first in each thread; if it throws, the pool is broken") {
    std::atomic<int> ready = 0;
    thread_pool pool({.threads = 2, .initializer = [&] { ++ready; }});
    CHECK(pool.apply([&] { return ready.load(); }) >= 1);

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
