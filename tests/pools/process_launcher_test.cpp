// Processes of programs that have threads.
#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "pools/connection.hpp"
#include "pools/poll_until.hpp"
#include "pools/processes/forking.hpp"
#include "pools/processes/launcher.hpp"
#include "pools/processes/process.hpp"
#include "pools/processes/shared_memory.hpp"
#include "tests/pools/process_support.hpp"
#include "tests/support/child.hpp"

using namespace confab;
using namespace std::chrono_literals;
using processes::launcher;
using processes::orphan;
using processes::process;
using processes::shared;

namespace {

int add(int one, int other) { return one + other; }

int wait_for_stop(const std::stop_token& stop, writer begun) {
    if (!begun.send("begun")) return 1;
    while (!stop.stop_requested()) ::pause();
    return 7;
}

}  // namespace

TEST_CASE("a program with eight threads starts processes from each of them through a launcher") {
    launcher starter;
    std::array<int, 8> sums{};
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < 8; ++i) {
            threads.emplace_back([&, i] {
                for (int round = 0; round < 5; ++round) {
                    process child = starter.start(add, 10 * i, round);
                    child.join();
                    sums[static_cast<std::size_t>(i)] += child.exitcode().value();
                }
            });
        }
    }
    for (int i = 0; i < 8; ++i) CHECK(sums[static_cast<std::size_t>(i)] == 50 * i + 10);
}

TEST_CASE("the handle of a launched process is like any other's") {
    launcher starter;
    auto [receiver, sender] = make_pipe();
    process child = starter.start({.name = "stoppable"}, wait_for_stop, std::move(sender));
    CHECK(sender.closed());  // NOLINT(bugprone-use-after-move): that it is gone here is the point
    CHECK(child.alive());
    CHECK(child.name() == "stoppable");
    CHECK_FALSE(child.daemon());
    const auto listed = processes::all();
    CHECK(std::ranges::any_of(listed, [&](const auto& one) { return one.pid == child.pid(); }));
    CHECK_THROWS_AS(child.start(), std::logic_error);
    CHECK(receiver.receive()->text() == "begun");
    CHECK_FALSE(child.join_for(0s));
    child.terminate();
    child.join();
    CHECK(child.exitcode() == 7);
    CHECK_FALSE(child.alive());
    CHECK(readable_until(child.sentinel(), Instant::min()));
    CHECK(receiver.receive().error() == connection_error::closed);

    process killed = starter.start({.daemon = true}, sleep_for_ever);
    CHECK(killed.daemon());
    killed.kill();
    killed.join();
    CHECK(killed.exitcode() == -SIGKILL);

    process ended = starter.start([] { std::exit(300); });
    ended.join();
    CHECK(ended.exitcode() == 44);
}

TEST_CASE("a launched process knows the program as its parent, and its own name") {
    launcher starter;
    auto [receiver, sender] = make_pipe();
    process child = starter.start(
        {.name = "launched"},
        [](pid_t program, writer out) {
            const auto* const parent = processes::parent();
            const bool right = parent != nullptr && parent->pid() == program && parent->alive();
            return out.send(processes::current().name) && right ? 0 : 1;
        },
        ::getpid(), std::move(sender));
    CHECK(receiver.receive()->text() == "launched");
    child.join();
    CHECK(child.exitcode() == 0);
}

TEST_CASE("arguments become what the function takes, text and shared memory among them") {
    launcher starter;
    shared<std::atomic<int>> sum;
    process child = starter.start(
        [](const std::string& text, const std::vector<int>& numbers, const shared<std::atomic<int>>& result) {
            for (const int number : numbers) *result += number;
            *result += static_cast<int>(text.size());
        },
        "text", std::vector{1, 2, 3}, sum);
    child.join();
    CHECK(child.exitcode() == 0);
    CHECK(*sum == 10);
}

TEST_CASE("a launched process has threads and children of its own if it likes") {
    launcher starter;
    process child = starter.start([] {
        process grandchild([] { return 4; });
        grandchild.start();
        grandchild.join();
        std::atomic<int> result = 0;
        std::jthread([&] { result = grandchild.exitcode().value(); }).join();
        return result.load();
    });
    child.join();
    CHECK(child.exitcode() == 4);
}

TEST_CASE("what cannot be carried to a launched process does not compile") {
    static_assert(processes::process_function<int (*)(int), int>);
    static_assert(remote_function<int (*)(int), int>);
    static_assert(remote_function<int (*)(std::string), const char*>);
    static_assert(!remote_function<int (*)(int*), int*>);
    static_assert(!remote_function<int (*)(std::string_view), const char*>);
    [[maybe_unused]] int number = 0;
    [[maybe_unused]] const auto capturing = [&number] { return number; };
    static_assert(!remote_function<decltype(capturing)>);
}

TEST_CASE("a hundred processes are launched, and leave nothing behind") {
    launcher starter;
    std::vector<process> children;
    for (int i = 0; i < 100; ++i) children.push_back(starter.start(add, i, 0));
    for (int i = 0; i < 100; ++i) {
        children[static_cast<std::size_t>(i)].join();
        CHECK(children[static_cast<std::size_t>(i)].exitcode() == i);
        CHECK(state_of(*children[static_cast<std::size_t>(i)].pid()) == 0);
    }
}

TEST_CASE("who watches a launched process is told of its end once") {
    launcher starter;
    std::atomic<int> calls = 0;
    std::atomic<int> code = 0;
    process child = starter.start_watched(
        {},
        [&](processes::exit_status status) {
            code = status.code().value_or(-1);
            ++calls;
            calls.notify_one();
        },
        add, 2, 3);
    calls.wait(0);
    child.join();
    CHECK(calls == 1);
    CHECK(code == 5);
}

namespace {

struct Generations {
    std::atomic<pid_t> child, grandchild, stray;
};

// A process, its child, and one that it has let loose in the old way: forked twice, in a session of its own.
void found_family(const shared<Generations>& generations, writer done) {
    process grandchild(sleep_for_ever);
    grandchild.start();
    generations->grandchild = *grandchild.pid();
    if (const pid_t middle = ::fork(); middle == 0) {
        ::setsid();
        if (const pid_t stray = ::fork(); stray == 0) {
            generations->stray = ::getpid();
            static_cast<void>(done.send("done"));
            done.close();
            sleep_for_ever();
        }
        ::_exit(0);
    }
    generations->child = ::getpid();
    done.close();
    sleep_for_ever();
}

}  // namespace

TEST_CASE("when a program with threads is killed, no process that came of it is alive a moment later") {
    for (const orphan when_orphaned : {orphan::killed, orphan::told}) {
        shared<Generations> generations;
        auto [receiver, sender] = make_pipe();
        process program([&, end = std::move(sender)]() mutable {
            launcher starter;
            std::vector<std::jthread> threads;
            for (int i = 0; i < 8; ++i) threads.emplace_back(sleep_for_ever);
            const process child =
                starter.start({.when_orphaned = when_orphaned}, found_family, generations, std::move(end));
            sleep_for_ever();
        });
        program.start();
        REQUIRE(receiver.receive());
        until([&] { return generations->child != 0; });
        std::vector<Fd> family;
        for (const pid_t member :
             {generations->child.load(), generations->grandchild.load(), generations->stray.load()}) {
            family.push_back(processes::open_pidfd(member));
        }
        program.kill();
        for (const Fd& member : family) CHECK(ends(member));
    }
}

TEST_CASE("a process that is told of its program's death has time to clean up") {
    shared<std::atomic<bool>> cleaned_up;
    auto [receiver, sender] = make_pipe();
    process program([&, end = std::move(sender)]() mutable {
        launcher starter;
        const process child = starter.start(
            {.when_orphaned = orphan::told},
            [](const std::stop_token& stop, const shared<std::atomic<bool>>& result, writer out) {
                static_cast<void>(out.send("running"));
                while (!stop.stop_requested()) ::pause();
                *result = true;
            },
            cleaned_up, std::move(end));
        sleep_for_ever();
    });
    program.start();
    CHECK(receiver.receive());
    program.kill();
    CHECK(receiver.receive().error() == connection_error::closed);
    CHECK(*cleaned_up);
}

TEST_CASE("when the launcher is killed its processes die, their handles say so, and nothing hangs") {
    launcher starter;
    process child = starter.start(sleep_for_ever);
    process other = starter.start([] { return 3; });
    other.join();
    bool was_told = false;
    process watched = starter.start_watched(
        {}, [&](processes::exit_status status) { was_told = !status.known(); }, sleep_for_ever);
    ::kill(starter.pid(), SIGKILL);
    child.join();
    watched.join();
    CHECK_FALSE(child.alive());
    REQUIRE(child.status());
    CHECK_FALSE(child.status()->known());
    CHECK(other.exitcode() == 3);
    child.terminate();
    until([&] { return !starter.alive(); });
    try {
        starter.start(sleep_for_ever);
        FAIL("started");
    } catch (const std::system_error& error) {
        CHECK(error.code().value() == ECHILD);
    }
    CHECK_THROWS_AS(starter.start(sleep_for_ever), std::system_error);
}

TEST_CASE("a launcher that dies takes its processes along") {
    process child;
    {
        launcher starter;
        child = starter.start(sleep_for_ever);
        CHECK(child.alive());
    }
    child.join();
    CHECK(child.exitcode() == -SIGKILL);
}

// To the thread sanitizer, a thread that exit leaves unjoined is a leak.
#if !__has_feature(thread_sanitizer)
TEST_CASE("a program that leaves by exit waits for launched processes, and stops daemons") {
    shared<std::atomic<int>> ended;
    process program([&] {
        launcher starter;
        const process daemon = starter.start({.daemon = true}, sleep_for_ever);
        const process worker = starter.start([](const shared<std::atomic<int>>& count) { ++*count; }, ended);
        std::exit(5);
    });
    program.start();
    program.join();
    CHECK(program.exitcode() == 5);
    CHECK(*ended == 1);
}
#endif

TEST_CASE("a launcher is made before the first thread") {
    std::atomic<bool> may_end = false;
    const std::jthread other([&] { may_end.wait(false); });
    CHECK_THROWS_AS(launcher(), std::logic_error);
    may_end = true;
    may_end.notify_one();
}
