// What Python's tests promise of a process, and ours better: the parity list's items 1 to 12 and 15 to 17.
#include <doctest/doctest.h>
#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

#include "pools/poll_until.hpp"
#include "pools/processes/process.hpp"
#include "tests/pools/process_support.hpp"

using namespace confab;
using namespace std::chrono_literals;
using processes::exit_status;
using processes::process;
using processes::shared;

namespace {

bool is_listed(pid_t pid) {
    const auto children = processes::all();
    return std::ranges::any_of(children, [pid](const auto& child) { return child.pid == pid; });
}

void no_core_file() {
    const rlimit none{.rlim_cur = 0, .rlim_max = 0};
    ::setrlimit(RLIMIT_CORE, &none);
}

int exitcode_of(process child) {
    child.start();
    child.join();
    return child.exitcode().value();
}

}  // namespace

TEST_CASE("parity 1: a process has a number, a life and an exit code from start to end") {
    Signal may_end;
    process child([&] { may_end.wait(); });
    CHECK_FALSE(child.pid());
    CHECK_FALSE(child.exitcode());
    CHECK_FALSE(child.alive());

    child.start();
    REQUIRE(child.pid());
    CHECK(child.pid() != ::getpid());
    CHECK(child.alive());
    CHECK_FALSE(child.exitcode());
    CHECK(is_listed(*child.pid()));

    may_end.set();
    child.join();
    CHECK(child.exitcode() == 0);
    CHECK_FALSE(child.alive());
    CHECK_FALSE(is_listed(*child.pid()));
}

TEST_CASE("parity 2: arguments, name and daemon reach the child") {
    struct Seen {
        int number;
        std::array<char, 32> text, name, comm;
        bool daemon;
    };
    shared<Seen> seen;
    const auto look = [&seen](int number, const std::string& text) {
        seen->number = number;
        const auto self = processes::current();
        text.copy(seen->text.data(), seen->text.size() - 1);
        self.name.copy(seen->name.data(), seen->name.size() - 1);
        seen->daemon = self.daemon;
        std::ifstream("/proc/self/comm").getline(seen->comm.data(), 32);
    };
    std::string text = "argument";
    process child({.name = "a long name of a child", .daemon = true}, look, 7, text);
    text = "changed after it was copied";
    CHECK(child.daemon());
    child.start();
    child.join();
    CHECK(seen->number == 7);
    CHECK(std::string(seen->text.data()) == "argument");
    CHECK(std::string(seen->name.data()) == "a long name of a child");
    CHECK(std::string(seen->comm.data()) == "a long name of ");
    CHECK(seen->daemon);
}

TEST_CASE("parity 2: a process is a daemon by default exactly when its creator is") {
    const auto code_of_default = [] { return process([] {}).daemon() ? 1 : 0; };
    CHECK(exitcode_of(process({.daemon = true}, code_of_default)) == 1);
    CHECK(exitcode_of(process({.daemon = false}, code_of_default)) == 0);
    CHECK_FALSE(process([] {}).daemon());
    CHECK(processes::current().name == "main");
}

TEST_CASE("parity 2: nameless processes are numbered, those of a child behind its name") {
    const process one([] {});
    const process two([] {});
    CHECK(one.name().starts_with("process-"));
    CHECK(one.name() != two.name());
    Paper paper;
    CHECK(exitcode_of(process({.name = "upper"}, [&] {
              paper.replace(STDOUT_FILENO);
              std::cout << process([] {}).name();
          })) == 0);
    CHECK(paper.text() == "upper:1");
}

TEST_CASE("a process runs what overrides run") {
    class Adder : public runnable {
      public:
        Adder(shared<int>& sum, int summand) : sum_(&sum), summand_(summand) {}
        void run(std::stop_token stop) override {
            **sum_ += summand_;
            while (!stop.stop_requested()) ::pause();
        }

      private:
        shared<int>* sum_;
        int summand_;
    };
    shared<int> sum(30);
    process child(Adder(sum, 12));
    child.start();
    child.terminate();
    child.join();
    CHECK(child.exitcode() == 0);
    CHECK(*sum == 42);
}

TEST_CASE("a child works on a copy of the memory") {
    int counter = 1;
    CHECK(exitcode_of(process([&counter] {
              counter += 10;
              return counter;
          })) == 11);
    CHECK(counter == 1);
}

TEST_CASE("parity 3: a process is started once, and can be renamed but not made a daemon later") {
    Signal may_end;
    process child([&] { may_end.wait(); });
    child.set_daemon(true);
    child.set_daemon(false);
    child.start();
    CHECK_THROWS_AS(child.start(), std::logic_error);
    CHECK_THROWS_AS(child.set_daemon(true), std::logic_error);
    CHECK_FALSE(child.daemon());
    child.set_name("renamed");
    CHECK(child.name() == "renamed");
    CHECK(processes::all().back().name == "renamed");
    may_end.set();
    child.join();
    CHECK_THROWS_AS(child.start(), std::logic_error);
}

TEST_CASE("parity 4: what needs a started process says so before the start") {
    process child([] {});
    CHECK_THROWS_AS(child.join(), std::logic_error);
    CHECK_THROWS_AS(child.join_for(0s), std::logic_error);
    CHECK_THROWS_AS(child.terminate(), std::logic_error);
    CHECK_THROWS_AS(child.kill(), std::logic_error);
    CHECK_THROWS_AS(child.stop(1s), std::logic_error);
    CHECK_FALSE(child.alive());
    CHECK_THROWS_AS(process().start(), std::logic_error);
}

TEST_CASE("parity 5: a join that may take no time or less returns at once") {
    process child(sleep_for_ever);
    child.start();
    CHECK_FALSE(child.join_for(0s));
    CHECK_FALSE(child.join_for(-1s));
    CHECK_FALSE(child.join_until(Instant::min()));
    CHECK(child.alive());
    child.kill();
    child.join();
    CHECK(child.join_for(-1s));
}

TEST_CASE("parity 6: who ends by a signal has its number, negative, as exit code") {
    std::signal(SIGHUP,
                SIG_DFL);  // who starts the tests with nohup(1) has it ignored, and a child would, too
    for (const int number : {SIGTERM, SIGKILL, SIGHUP, SIGUSR1, SIGINT}) {
        CAPTURE(number);
        process child(sleep_for_ever);
        child.start();
        child.send_signal(number);
        child.join();
        CHECK(child.exitcode() == -number);
    }
    CHECK(exitcode_of(process([] {
              no_core_file();
              ::signal(SIGSEGV, SIG_DFL);  // the address sanitizer has a handler
              ::raise(SIGSEGV);
          })) == -SIGSEGV);
    CHECK(exit_status::of_signal(SIGKILL).text() == "signal 9 (Killed)");
    CHECK(exit_status::of_code(3).text() == "exit code 3");
}

TEST_CASE("parity 7: SIGINT asks for a stop, and the exit code is what the child makes of it") {
    process child([](const std::stop_token& stop) {
        while (!stop.stop_requested()) ::pause();
        return 3;
    });
    child.start();
    child.send_signal(SIGINT);
    child.join();
    CHECK(child.exitcode() == 3);
}

TEST_CASE("parity 8: what the function returns or gives to exit is the exit code, modulo 256") {
    CHECK(exitcode_of(process([] {})) == 0);
    CHECK(exitcode_of(process([] { return 8; })) == 8);
    CHECK(exitcode_of(process([] { std::exit(8); })) == 8);
    CHECK(exitcode_of(process([] { std::exit(-1); })) == 255);
    CHECK(exitcode_of(process([] { ::_exit(300); })) == 44);
    CHECK(exitcode_of(process([] { return 300; })) == 44);
}

TEST_CASE("parity 9: an exception that nobody catches is told on stderr, and the exit code is 1") {
    Paper paper;
    CHECK(exitcode_of(process({.name = "thrower"}, [&] {
              paper.replace(STDERR_FILENO);
              throw std::out_of_range("too far");
          })) == 1);
    const std::string text = paper.text();
    CHECK(text.starts_with("process thrower ("));
    CHECK(text.ends_with("): nobody caught std::out_of_range: too far\n"));

    Paper other;
    CHECK(exitcode_of(process([&] {
              other.replace(STDERR_FILENO);
              throw 5;
          })) == 1);
    CHECK(other.text().ends_with("nobody caught int\n"));
}

TEST_CASE("what parent and child printed appears once each, whatever buffer it was in") {
    Paper paper;
    CHECK(exitcode_of(process([&] {
              paper.replace(STDOUT_FILENO);
              std::ios::sync_with_stdio(false);
              std::printf("of the parent by C, ");
              std::cout << "and by C++; ";
              process child([] {
                  std::printf("of the child by C, ");
                  std::fflush(stdout);
                  std::cout << "and by C++.";
              });
              child.start();
              child.join();
          })) == 0);
    const std::string text = paper.text();
    CHECK(text.find("of the parent by C, ") != std::string::npos);
    CHECK(text.size() == std::strlen("of the parent by C, and by C++; of the child by C, and by C++."));
    CHECK(text.ends_with("of the child by C, and by C++."));
}

TEST_CASE("parity 10: to signal, to stop or to join a process that has ended is no error") {
    process child(sleep_for_ever);
    child.start();
    child.terminate();
    child.terminate();
    child.kill();
    child.join();
    child.join();
    child.terminate();
    child.kill();
    CHECK(child.stop(1h) == *child.status());
    CHECK_FALSE(child.alive());
}

TEST_CASE("parity 11: a child that ignores SIGTERM outlives it, and stop kills it after its grace") {
    const auto ignore = [](Signal& ignores) {
        ::signal(SIGTERM, SIG_IGN);
        ignores.set();
        sleep_for_ever();
    };
    Signal first_ignores;
    process child(ignore, std::ref(first_ignores));
    child.start();
    REQUIRE(first_ignores.wait());
    child.terminate();
    CHECK_FALSE(child.join_for(20ms));
    CHECK(child.alive());
    child.kill();
    child.join();
    CHECK(child.exitcode() == -SIGKILL);

    Signal second_ignores;
    process other(ignore, std::ref(second_ignores));
    other.start();
    REQUIRE(second_ignores.wait());
    CHECK(other.stop(20ms).signal() == SIGKILL);
}

TEST_CASE("parity 12: a child that is told to stop cleans up, and leaves through its own exit hooks only") {
    struct Steps {
        std::atomic<int> destructors, own_hooks, foreign_hooks;
    };
    static shared<Steps> steps;
    struct Cleanup {
        ~Cleanup() { ++steps->destructors; }
    };
    // The middle process is the parent that has a hook, since the test's own would stay for all tests.
    process middle([] {
        std::atexit([] { ++steps->foreign_hooks; });
        process child([](const std::stop_token& stop) {
            std::atexit([] { ++steps->own_hooks; });
            const Cleanup cleanup;
            while (!stop.stop_requested()) ::pause();
        });
        child.start();
        child.terminate();
        child.join();
        return child.exitcode() == 0 && steps->foreign_hooks == 0 ? 0 : 1;
    });
    middle.start();
    middle.join();
    CHECK(middle.exitcode() == 0);
    CHECK(steps->destructors == 1);
    CHECK(steps->own_hooks == 1);
    CHECK(steps->foreign_hooks == 1);
}

TEST_CASE("parity 12: a stop wakes a child that waits with its token, on a thread of the library's") {
    Signal stopped;
    process child([&](const std::stop_token& stop) {
        const std::stop_callback callback(stop, [&] { stopped.set(); });
        return stopped.wait() ? 4 : 5;  // a wait that signals do not shorten
    });
    child.start();
    child.terminate();
    child.join();
    CHECK(child.exitcode() == 4);
}

TEST_CASE("parity 15: the sentinel is readable once the process has ended") {
    Signal may_end;
    process child([&] { may_end.wait(); });
    CHECK_THROWS_AS(child.sentinel(), std::logic_error);
    child.start();
    CHECK_FALSE(readable_until(child.sentinel(), Instant::min()));
    may_end.set();
    CHECK(readable_until(child.sentinel(), deadline_in(patience)));
    CHECK_FALSE(child.alive());
    CHECK(child.exitcode() == 0);
    CHECK(readable_until(child.sentinel(), Instant::min()));
}

TEST_CASE("parity 16: a handle that was moved from has no process") {
    Signal may_end;
    process child([&] { may_end.wait(); });
    process before_start = std::move(child);
    before_start.start();
    const process after_start = std::move(before_start);
    // What a handle is that was moved from is what this is about:
    CHECK_THROWS_AS(before_start.join(), std::logic_error);  // NOLINT(bugprone-use-after-move,*.Move)
    CHECK_FALSE(before_start.alive());
    CHECK(after_start.alive());
    may_end.set();
}

TEST_CASE("a handle that gets another process first joins its own") {
    Signal may_end;
    shared<std::atomic<int>> ended;
    process child([&] {
        may_end.wait();
        ++*ended;
    });
    child.start();
    may_end.set();
    child = process([] {});
    CHECK(*ended == 1);
    CHECK_FALSE(child.pid());
}

TEST_CASE("parity 17: only the process that made a handle can use it") {
    process child(sleep_for_ever);
    child.start();
    process stranger([&child] {
        int refused = 0;
        const auto refuses = [&](auto call) {
            try {
                call();
            } catch (const std::logic_error&) {
                ++refused;
            }
        };
        refuses([&] { child.join(); });
        refuses([&] { child.alive(); });
        refuses([&] { child.kill(); });
        refuses([&] { child.status(); });
        const process moved = std::move(child);  // and dies without waiting
        return refused;
    });
    stranger.start();
    stranger.join();
    CHECK(stranger.exitcode() == 4);
    CHECK(child.alive());
    child.kill();
}
