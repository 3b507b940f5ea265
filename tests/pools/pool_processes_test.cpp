// What only pools of processes have: parity 86, 91, 93, 94, 103, 104 and 106 to 108, with workers that are
// killed for real. The rest is in pool_test.cpp.
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
#include "tests/pools/pool_tasks.hpp"
#include "tests/pools/process_support.hpp"
#include "tests/support/child.hpp"

using namespace confab;
using namespace std::chrono_literals;

namespace {

pid_t worker_pid() { return ::getpid(); }

int exit_with(int code) { std::exit(code); }

void begin_and_never_end() {
    ++board->begun;
    while (true) ::pause();
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

}  // namespace

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

TEST_CASE("parity 86: of a task's exception comes its type and what it said") {
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
}

TEST_CASE("parity 91: terminated, a process pool kills what runs") {
    wipe_board();
    process_pool pool({.processes = 2});
    std::vector<future<void>> running{pool.submit(begin_and_never_end), pool.submit(begin_and_never_end)};
    until([] { return board->begun == 2; });
    pool.terminate();
    pool.join();
    for (const auto& result : running) CHECK(death_of(result)->signal() == SIGKILL);
    pool.terminate();
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

TEST_CASE("parity 94 and 108: after its number of tasks a process is replaced") {
    processes::launcher launcher;
    process_pool pool(launcher, {.processes = 1, .max_tasks_per_worker = 3});
    std::vector<pid_t> pids;
    for (int i = 0; i < 9; ++i) pids.push_back(pool.apply(worker_pid));
    for (std::size_t i = 0; i < 9; ++i) CHECK((pids[i] == pids[i / 3 * 3]));
    CHECK(std::set(pids.begin(), pids.end()).size() == 3);
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

TEST_CASE("parity 104: worker processes have the name of their pool") {
    process_pool pool({.processes = 1, .name = "smith"});
    CHECK(pool.apply([] { return processes::current().name; }) == "smith");
}

TEST_CASE("parity 106: a process that dies of its initializer breaks the pool") {
    process_pool pool({.processes = 1, .initializer = [] { std::exit(3); }});
    const auto result = pool.submit(square, 2);
    CHECK_THROWS_AS(result.result(), broken_pool);
    CHECK_THROWS_AS(pool.submit(square, 2), broken_pool);
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
