// Process pools: parity 84 to 108, with workers that are killed for real.
#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <future>
#include <new>
#include <numeric>
#include <random>
#include <ranges>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "pools/process_pool.hpp"
#include "pools/processes/process.hpp"
#include "pools/thread_pool.hpp"
#include "tests/pools/process_support.hpp"
#include "tests/support/child.hpp"

using namespace confab;
using namespace std::chrono_literals;
using processes::shared;

namespace {

// What tests and workers see both. Made before any launcher, so at the same address in all of them.
struct Board {
    std::atomic<int> begun, ended, initialized, open;
};
const shared<Board> board;
void wipe_board() {
    Board& all = *board;
    all.begun = all.ended = all.initialized = all.open = 0;
}

int square(int n) { return n * n; }

int square_but_not_three(int n) {
    if (n == 3) throw std::range_error("three");
    return n * n;
}

pid_t worker_pid() { return ::getpid(); }

// Holds a worker until the board says open.
int hold(int value) {
    ++board->begun;
    while (board->open == 0) ::sched_yield();
    ++board->ended;
    return value;
}

int exit_with(int code) { std::exit(code); }

void begin_and_never_end() {
    ++board->begun;
    while (true) ::pause();
}

template <class Mapping>
std::vector<int> drain(Mapping& results) {
    std::vector<int> values;
    while (const auto value = results.next()) values.push_back(*value);
    return values;
}

template <class T>
std::optional<processes::exit_status> death_of(const future<T>& result) {
    try {
        static_cast<void>(result.result());
    } catch (const worker_died& death) {
        return death.status();
    }
    return std::nullopt;
}

std::atomic<int> unheard = 0;

}  // namespace

TEST_CASE("parity 84: apply and map of processes give results in the order of what they were given") {
    process_pool pool({.processes = 3});
    CHECK(pool.apply(square, 5) == 25);
    CHECK(pool.apply([](const std::string& one, const std::string& other) { return one + other; }, "a",
                     "b") == "ab");
    std::vector<int> expected;
    for (int i = 0; i < 100; ++i) expected.push_back(i * i);
    for (const std::size_t chunk : {0U, 1U, 7U, 100U, 1000U})
        CHECK(pool.map(square, std::views::iota(0, 100), chunk) == expected);
    CHECK(pool.map([](int n) { return n * n; }, std::views::iota(0, 100)) == expected);
    CHECK(pool.map_async(square, std::views::iota(0, 100)).result() == expected);
    const std::vector<std::pair<int, int>> pairs{{5, 3}, {2, 1}};
    CHECK(pool.starmap([](int one, int other) { return one - other; }, pairs) == std::vector{2, 1});
    CHECK(pool.starmap(+[](int one, int other) { return one * other; }, pairs) == std::vector{15, 2});
}

TEST_CASE("parity 84: a process pool of nothing refuses, and of nothing comes nothing") {
    process_pool pool({.processes = 2});
    CHECK(pool.map(square, std::vector<int>()).empty());
    CHECK(pool.worker_pids().empty());
    CHECK_THROWS_AS(process_pool({.processes = 0}), std::invalid_argument);
    CHECK_THROWS_AS(process_pool({.processes = 1, .max_tasks_per_worker = 0}), std::invalid_argument);
}

TEST_CASE("a task works in another process, on memory of its own") {
    static int counter = 0;
    process_pool pool({.processes = 1});
    const auto count = [] { return ++counter; };
    CHECK(pool.apply(worker_pid) != ::getpid());
    CHECK(pool.apply(count) == 1);
    CHECK(pool.apply(count) == 2);
    CHECK(counter == 0);
    CHECK(pool.worker_pids().size() == 1);
}

TEST_CASE("arguments and results of any size go there and back") {
    process_pool pool({.processes = 1});
    const auto echo = [](std::string text) { return text; };
    for (const std::size_t size : {0UZ, 1UZ, 32700UZ, 32768UZ, 100000UZ, 16UZ << 20}) {
        CAPTURE(size);
        const std::string text(size, 'x');
        CHECK((pool.apply(echo, text) == text));
    }
}

TEST_CASE(
    "parity 85: imap of processes gives results in order, imap_unordered every one once, failures between") {
    process_pool pool({.processes = 2});
    auto ordered = pool.imap(square, std::views::iota(0, 20), 4);
    std::vector<int> expected;
    for (int i = 0; i < 20; ++i) expected.push_back(i * i);
    CHECK(drain(ordered) == expected);
    auto unordered = pool.imap_unordered(square, std::views::iota(0, 20));
    std::vector<int> sorted = drain(unordered);
    std::ranges::sort(sorted);
    CHECK(sorted == expected);
    auto failing = pool.imap(square_but_not_three, std::vector{2, 3, 4});
    CHECK(failing.next() == 4);
    CHECK_THROWS_AS(static_cast<void>(failing.next()), remote_error);
    CHECK(failing.next() == 16);
}

TEST_CASE("parity 86: of a task's exception comes its type and what it said, and map lets the others go on") {
    process_pool pool({.processes = 2});
    try {
        pool.apply(square_but_not_three, 3);
        FAIL("no exception");
    } catch (const remote_error& error) {
        CHECK(error.type() == "std::range_error");
        CHECK(error.remote_what() == "three");
        CHECK(std::string(error.what()) == "std::range_error: three");
    }
    try {
        pool.apply([] { throw 5; });
        FAIL("no exception");
    } catch (const remote_error& error) {
        CHECK(error.type() == "int");
        CHECK(error.remote_what().empty());
    }
    wipe_board();
    board->open = 1;
    const auto count = [](int n) {
        if (n == 3) throw std::range_error("three");
        return hold(n);
    };
    CHECK_THROWS_AS(pool.map(count, std::views::iota(0, 8), 1), remote_error);
    CHECK(board->ended == 7);
}

TEST_CASE("parity 88 and 89: callbacks are called in the program, and one that throws harms nothing") {
    process_pool pool({.processes = 1});
    std::promise<int> value;
    std::promise<std::string> error;
    pool.apply_async(callbacks{.value = [&](int result) { value.set_value(result); }}, square, 3);
    CHECK(value.get_future().get() == 9);
    const auto failed = pool.apply_async(callbacks{.error =
                                                       [&](const std::exception_ptr& thrown) {
                                                           try {
                                                               std::rethrow_exception(thrown);
                                                           } catch (const std::exception& what) {
                                                               error.set_value(what.what());
                                                           }
                                                       }},
                                         square_but_not_three, 3);
    CHECK_THROWS_AS(failed.result(), remote_error);
    CHECK(error.get_future().get() == "std::range_error: three");

    const auto before = on_unheard_exception([](const std::exception_ptr&) noexcept { ++unheard; });
    CHECK(pool.apply_async(callbacks{.value = [](int) { throw std::runtime_error("of a callback"); }}, square,
                           2)
              .result() == 4);
    CHECK(pool.apply(square, 3) == 9);
    pool.shutdown();
    CHECK(unheard == 1);
    on_unheard_exception(before);
}

TEST_CASE("parity 90: a wait for a process's result that runs out leaves the task at work") {
    wipe_board();
    process_pool pool({.processes = 1});
    const auto result = pool.submit(hold, 5);
    CHECK_FALSE(result.wait_for(1ms));
    board->open = 1;
    CHECK(result.result() == 5);
}

TEST_CASE("parity 91: closed, a process pool takes nothing and finishes what it has") {
    process_pool pool({.processes = 1});
    const auto one = pool.submit(square, 1);
    const auto two = pool.submit(square, 2);
    CHECK_THROWS_AS(pool.join(), std::logic_error);
    pool.close();
    CHECK_THROWS_AS(pool.submit(square, 3), std::logic_error);
    pool.join();
    CHECK(one.result() == 1);
    CHECK(two.result() == 4);
    CHECK(pool.worker_pids().empty());
}

TEST_CASE("parity 91: terminated with ten thousand tasks, a process pool drops them and kills what runs") {
    wipe_board();
    process_pool pool({.processes = 2});
    std::vector<future<void>> running{pool.submit(begin_and_never_end), pool.submit(begin_and_never_end)};
    std::vector<future<int>> pending;
    for (int i = 0; i < 10000; ++i) pending.push_back(pool.submit(square, i));
    until([] { return board->begun == 2; });
    pool.terminate();
    pool.join();
    for (const auto& result : pending) CHECK_THROWS_AS(result.result(), future_canceled);
    for (const auto& result : running) CHECK(death_of(result)->signal() == SIGKILL);
    pool.terminate();
}

TEST_CASE("parity 92: at the end of its block a process pool finishes what was submitted") {
    std::vector<future<int>> results;
    {
        process_pool pool({.processes = 2});
        for (int i = 0; i < 100; ++i) results.push_back(pool.submit(square, i));
    }
    for (int i = 0; i < 100; ++i) CHECK(results[static_cast<std::size_t>(i)].result() == i * i);
}

TEST_CASE(
    "parity 93: a task that calls exit, or crashes, fails with its worker's status, and the others run on") {
    process_pool pool({.processes = 2});
    CHECK(death_of(pool.submit(exit_with, 3)) == processes::exit_status::of_code(3));
    CHECK(death_of(pool.submit(exit_with, 0)) == processes::exit_status::of_code(0));
    CHECK(death_of(pool.submit([] {
              ::raise(SIGKILL);
              return 0;
          })) == processes::exit_status::of_signal(SIGKILL));
    CHECK(pool.apply(square, 7) == 49);
    try {
        pool.submit(exit_with, 3).result();
    } catch (const worker_died& death) {
        CHECK(std::string(death.what()).ends_with("exit code 3"));
    }
}

TEST_CASE("parity 93: an idle worker that is killed costs no task") {
    process_pool pool({.processes = 1});
    for (int round = 0; round < 20; ++round) {
        const pid_t worker = pool.apply(worker_pid);
        ::kill(worker, SIGKILL);
        CHECK(pool.apply(square, round) == round * round);
    }
}

TEST_CASE("parity 94 and 108: after its number of tasks a process is replaced, and no task is lost") {
    processes::launcher launcher;
    process_pool pool(launcher, {.processes = 1, .max_tasks_per_worker = 3});
    std::vector<pid_t> pids;
    for (int i = 0; i < 9; ++i) pids.push_back(pool.apply(worker_pid));
    for (std::size_t i = 0; i < 9; ++i) CHECK((pids[i] == pids[i / 3 * 3]));
    CHECK(std::set(pids.begin(), pids.end()).size() == 3);

    process_pool other(launcher, {.processes = 2, .max_tasks_per_worker = 1});
    std::vector<future<int>> results;
    for (int i = 0; i < 50; ++i) results.push_back(other.submit(square, i));
    other.close();
    for (int i = 0; i < 50; ++i) CHECK(results[static_cast<std::size_t>(i)].result() == i * i);
}

TEST_CASE(
    "parity 96: a task of a process that takes a stop_token is asked to stop; another is too late to "
    "cancel") {
    wipe_board();
    process_pool pool({.processes = 1});
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
    CHECK(stoppable.cancel() == cancellation::requested);
    CHECK(stoppable.result() == 5);
    const auto stubborn = pool.submit(hold, 6);
    until([] { return board->begun == 2; });
    CHECK(stubborn.cancel() == cancellation::too_late);
    board->open = 1;
    CHECK(stubborn.result() == 6);
    CHECK_THROWS_AS(pending.result(), future_canceled);
}

TEST_CASE("parity 102: a shutdown of processes refuses, finishes or drops, as it is told") {
    wipe_board();
    process_pool pool({.processes = 1});
    const auto running = pool.submit(hold, 1);
    until([] { return board->begun == 1; });
    const auto pending = pool.submit(square, 2);
    pool.shutdown({.wait = false, .cancel_pending = true});
    CHECK_THROWS_AS(pool.submit(square, 3), std::logic_error);
    CHECK_THROWS_AS(pending.result(), future_canceled);
    board->open = 1;
    pool.shutdown();
    CHECK(running.result() == 1);
}

TEST_CASE("parity 103: the end of a program waits for what was submitted, by its last hooks too") {
    wipe_board();
    processes::process program([] {
        static process_pool processes({.processes = 1});
        static thread_pool threads({.threads = 1});
        // Hooks and destructors run in the reverse order of their making, so this one finds both pools there.
        if (std::atexit([] {
                threads.submit([] { ++board->ended; });
                processes.submit([] { ++board->ended; });
            }) != 0) {
            throw std::bad_alloc();
        }
        for (int i = 0; i < 10; ++i) {
            threads.submit([] { ++board->ended; });
            processes.submit([] { ++board->ended; });
        }
    });
    program.start();
    program.join();
    CHECK(program.exitcode() == 0);
    CHECK(board->ended == 22);
}

TEST_CASE("parity 104: worker processes come on demand, and are used again") {
    wipe_board();
    process_pool pool({.processes = 3, .name = "smith"});
    CHECK(pool.worker_pids().empty());
    CHECK(pool.apply([] { return processes::current().name; }) == "smith");
    CHECK(pool.worker_pids().size() == 1);
    std::vector<future<int>> results;
    for (int i = 0; i < 3; ++i) results.push_back(pool.submit(hold, i));
    until([] { return board->begun == 3; });
    CHECK(pool.worker_pids().size() == 3);
    board->open = 1;
}

TEST_CASE("parity 106: an initializer runs first in each process; if it fails, the pool is broken") {
    wipe_board();
    {
        process_pool pool(
            {.processes = 1, .max_tasks_per_worker = 1, .initializer = [] { ++board->initialized; }});
        CHECK(pool.apply([] { return board->initialized.load(); }) == 1);
        CHECK(pool.apply([] { return board->initialized.load(); }) == 2);
    }
    for (const auto initializer : {+[] { throw std::runtime_error("not today"); }, +[] { std::exit(3); }}) {
        process_pool pool({.processes = 1, .initializer = initializer});
        const auto result = pool.submit(square, 2);
        CHECK_THROWS_AS(result.result(), broken_pool);
        CHECK_THROWS_AS(pool.submit(square, 2), broken_pool);
    }
}

TEST_CASE("parity 107: workers killed at any moment fail their own tasks, and nothing else") {
    process_pool pool({.processes = 2});
    std::atomic<int> finished = 0;
    // Kills when something was finished since the last time, or else it could keep workers from ever being
    // ready.
    std::jthread killer([&](const std::stop_token& done) {
        std::minstd_rand random(7);
        for (int seen = 0; !done.stop_requested();) {
            if (finished == seen) {
                ::sched_yield();
                continue;
            }
            seen = finished;
            for (auto i = random() % 100; i > 0; --i) ::sched_yield();
            const std::vector<pid_t> workers = pool.worker_pids();
            if (!workers.empty()) ::kill(workers[random() % workers.size()], SIGKILL);
        }
    });
    int lost = 0;
    constexpr int rounds = 30;
    for (int round = 0; round < rounds; ++round) {
        std::vector<future<std::string>> results;
        for (int i = 0; i < 20; ++i) {
            const std::size_t size = i % 5 == 0 ? 100000 : 10;  // some through the pipe
            results.push_back(
                pool.submit([](const std::string& text) { return text + "!"; }, std::string(size, 'x')));
        }
        for (const auto& result : results) {
            try {
                const bool is_right = result.result().ends_with("x!");
                CHECK(is_right);
            } catch (const worker_died&) {
                ++lost;
            }
            ++finished;
        }
    }
    killer.request_stop();
    killer.join();
    CHECK(pool.apply(square, 3) == 9);
    MESSAGE("tasks that died with their workers: " << lost << " of " << rounds * 20);
}

TEST_CASE("parity 107: a worker killed while it writes a large result fails that task only") {
    wipe_board();
    process_pool pool({.processes = 1});
    const auto huge = pool.submit([] {
        ++board->begun;
        return std::string(std::size_t{256} << 20, 'x');
    });
    until([] { return board->begun == 1; });
    ::kill(pool.worker_pids().front(), SIGKILL);
    CHECK(death_of(huge)->signal() == SIGKILL);
    CHECK(pool.apply(square, 3) == 9);
}

TEST_CASE("when its launcher is killed a process pool is broken, and nothing hangs") {
    wipe_board();
    processes::launcher launcher;
    process_pool pool(launcher, {.processes = 1});
    const auto running = pool.submit(begin_and_never_end);
    until([] { return board->begun == 1; });
    ::kill(launcher.pid(), SIGKILL);
    CHECK(death_of(running));
    CHECK_THROWS_AS(pool.submit(square, 2).result(), broken_pool);
}

TEST_CASE("two pools may share a launcher") {
    processes::launcher launcher;
    process_pool one(launcher, {.processes = 1});
    process_pool other(launcher, {.processes = 1});
    CHECK(one.apply(square, 2) == 4);
    CHECK(other.apply(square, 3) == 9);
}
