// Parents, children and siblings: the parity list's items 13, 14 and 18 to 24.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "pools/processes/forking.hpp"
#include "pools/processes/process.hpp"
#include "tests/pools/process_support.hpp"
#include "tests/support/child.hpp"

using namespace confab;
using namespace std::chrono_literals;
using processes::orphan;
using processes::process;
using processes::shared;

namespace {

int count_descriptors() {
    const std::filesystem::directory_iterator open("/proc/self/fd");
    return static_cast<int>(std::distance(begin(open), end(open)));
}

// A process with a child and a grandchild that would live for ever.
struct Family {
    struct Numbers {
        std::atomic<pid_t> child, grandchild;
    };

    explicit Family(processes::process_options options = {}, orphan when_orphaned = orphan::killed)
        : head(std::move(options), [this, when_orphaned] {
              process second({.when_orphaned = when_orphaned}, [this, when_orphaned] {
                  process third({.when_orphaned = when_orphaned}, sleep_for_ever);
                  third.start();
                  numbers->grandchild = *third.pid();
                  complete.set();
                  sleep_for_ever();
              });
              second.start();
              numbers->child = *second.pid();
              sleep_for_ever();
          }) {
        head.start();
        REQUIRE(complete.wait());
        until([this] { return numbers->child != 0; });
        child = processes::open_pidfd(numbers->child);
        grandchild = processes::open_pidfd(numbers->grandchild);
    }

    shared<Numbers> numbers;
    Signal complete;
    process head;
    Fd child, grandchild;
};

// While it lives, nobody's end is told to anybody.
class ChildrenIgnored {
  public:
    ChildrenIgnored() : before_(::signal(SIGCHLD, SIG_IGN)) {}
    ChildrenIgnored(const ChildrenIgnored&) = delete;
    ChildrenIgnored& operator=(const ChildrenIgnored&) = delete;
    ~ChildrenIgnored() { ::signal(SIGCHLD, before_); }

  private:
    sighandler_t before_;
};

}  // namespace

TEST_CASE("parity 13: a child that has ended is reaped though nobody asks") {
    // In a process of its own, where nothing else keeps the thread that reaps at work: it ends with the last
    // child, and must begin anew with the next.
    process alone([] {
        for (int i = 0; i < 3; ++i) {
            process child([] {});
            child.start();
            until([&] { return state_of(*child.pid()) == 0; });
            if (child.exitcode() != 0) return 1;
        }
        return 0;
    });
    alone.start();
    alone.join();
    CHECK(alone.exitcode() == 0);
}

TEST_CASE("parity 14: a child that somebody else has reaped has ended, nobody knows how") {
    const ChildrenIgnored ignored;  // the kernel reaps
    process child([] { return 5; });
    child.start();
    child.join();
    CHECK_FALSE(child.alive());
    REQUIRE(child.status());
    CHECK_FALSE(child.status()->known());
    CHECK_FALSE(child.exitcode());
    CHECK(child.status()->text() == "unknown exit status");
    child.kill();
}

TEST_CASE("parity 18: a child knows its parent, and one that is told sees it die") {
    struct Seen {
        std::atomic<bool> right_parent, stopped;
    };
    shared<Seen> seen;
    shared<std::atomic<pid_t>> number;
    Signal looks;
    Signal done;
    process head({.name = "head"}, [&] {
        process child({.when_orphaned = orphan::told}, [&](const std::stop_token& stop) {
            const auto* const parent = processes::parent();
            if (parent == nullptr) std::exit(EXIT_FAILURE);
            seen->right_parent = parent->name() == "head" && parent->pid() == ::getppid() && parent->alive();
            looks.set();
            parent->join();
            while (!stop.stop_requested()) ::pause();
            seen->stopped = !parent->alive();
            done.set();
        });
        child.start();
        *number = *child.pid();
        sleep_for_ever();
    });
    CHECK(processes::parent() == nullptr);
    head.start();
    REQUIRE(looks.wait());
    until([&] { return *number != 0; });
    const Fd child = processes::open_pidfd(*number);
    head.kill();
    CHECK(done.wait());
    CHECK(ends(child));
    CHECK(seen->right_parent);
    CHECK(seen->stopped);
}

TEST_CASE("parity 19: a daemon may have children, and they die with it") {
    Family family({.daemon = true});
    family.head.kill();
    CHECK(ends(family.child));
    CHECK(ends(family.grandchild));
}

TEST_CASE("parity 20: who is killed leaves no orphans, in no generation") {
    for (const orphan when_orphaned : {orphan::killed, orphan::told}) {
        Family family({}, when_orphaned);
        family.head.kill();
        CHECK(ends(family.child));
        CHECK(ends(family.grandchild));
        CHECK(family.head.stop(0s).signal() == SIGKILL);
    }
}

TEST_CASE("parity 20: who ends by SIGTERM or by _exit leaves no orphans either") {
    Family family;
    family.head.terminate();
    CHECK(ends(family.child));
    CHECK(ends(family.grandchild));

    shared<std::atomic<pid_t>> number;
    Signal go;
    process leaver([&] {
        process child(sleep_for_ever);
        child.start();
        *number = *child.pid();
        go.wait();
        ::_exit(0);
    });
    leaver.start();
    until([&] { return *number != 0; });
    const Fd child = processes::open_pidfd(*number);
    go.set();
    CHECK(ends(child));
}

TEST_CASE("parity 20: at the normal end of a parent daemons are stopped, and the others waited for") {
    struct Ends {
        std::atomic<int> daemon_exitcode, waited_for;
    };
    for (const bool by_exit : {false, true}) {
        CAPTURE(by_exit);
        shared<Ends> seen;
        process parent([&] {
            static process daemon({.daemon = true}, sleep_for_ever);
            daemon.start();
            process stubborn({.daemon = true}, [] {
                ::signal(SIGTERM, SIG_IGN);
                sleep_for_ever();
            });
            stubborn.start();
            process worker({.daemon = false}, [&seen] { ++seen->waited_for; });
            worker.start();
            if (by_exit) std::exit(6);
            return 6;
        });
        parent.start();
        parent.join();
        CHECK(parent.exitcode() == 6);
        CHECK(seen->waited_for == 1);
    }
}

TEST_CASE("parity 20: a daemon is told to stop when its handle dies") {
    shared<std::atomic<bool>> cleaned_up;
    Signal runs;
    {
        process child({.daemon = true}, [&](const std::stop_token& stop) {
            runs.set();
            while (!stop.stop_requested()) ::pause();
            *cleaned_up = true;
        });
        child.start();
        REQUIRE(runs.wait());
    }
    CHECK(*cleaned_up);
}

TEST_CASE("parity 21: a child waits for threads it joins, and not for detached ones") {
    shared<std::atomic<bool>> joined;
    process child([&] {
        std::thread(sleep_for_ever).detach();
        const std::jthread thread([&] { *joined = true; });
    });
    child.start();
    child.join();
    CHECK(child.exitcode() == 0);
    CHECK(*joined);
}

TEST_CASE("parity 22: a hundred children at once end well, and know nothing of each other's descriptors") {
    constexpr std::size_t count = 100;
    struct Counts {
        std::array<std::atomic<int>, count> descriptors;
    };
    shared<Counts> counts;
    Signal may_end;
    std::vector<process> children;
    children.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        children.emplace_back([&, i] {
            counts->descriptors[i] = count_descriptors();
            may_end.wait();
        });
        children.back().start();
    }
    CHECK(processes::all().size() == count);
    may_end.set();
    for (process& child : children) {
        child.join();
        CHECK(child.exitcode() == 0);
    }
    for (const auto& descriptors : counts->descriptors) CHECK(descriptors == counts->descriptors[0]);
}

TEST_CASE("parity 22: a hundred sleepers end by SIGTERM") {
    std::vector<process> children(100);
    for (process& child : children) {
        child = process(sleep_for_ever);
        child.start();
    }
    for (process& child : children) child.terminate();
    for (process& child : children) {
        child.join();
        CHECK(child.exitcode() == -SIGTERM);
    }
}

TEST_CASE("parity 23: a signal does not shorten a join") {
    static shared<std::atomic<int>> handled;
    struct sigaction before{};
    struct sigaction action{};
    action.sa_handler = [](int) { ++*handled; };
    REQUIRE(::sigaction(SIGUSR1, &action, &before) == 0);
    process child([] {
        for (int i = 1; i <= 5; ++i) {
            ::kill(::getppid(), SIGUSR1);
            until([i] { return *handled == i; });
        }
        return 5;
    });
    child.start();
    child.join();
    CHECK(child.exitcode() == 5);
    CHECK(*handled == 5);
    ::sigaction(SIGUSR1, &before, nullptr);
}

TEST_CASE("parity 23: several threads may join, and all see the same end") {
    Signal may_end;
    process child([&] {
        may_end.wait();
        return 7;
    });
    child.start();
    std::array<int, 4> seen{};
    {
        std::vector<std::jthread> threads;
        for (int& code : seen) {
            threads.emplace_back([&] {
                child.join();
                code = *child.exitcode();
            });
        }
        may_end.set();
    }
    CHECK(seen == std::array{7, 7, 7, 7});
}

TEST_CASE("parity 23: closed standard streams do not disturb processes") {
    process parent([] {
        std::printf("what nobody can read");
        for (int stream = 0; stream <= 2; ++stream) ::close(stream);
        process child([] {
            std::printf("nor this, longer than a counter of eight bytes\n");
            return 3;
        });
        child.start();
        std::fprintf(stderr, "nor this, longer than a counter of eight bytes\n");
        std::fflush(stdout);
        child.join();
        return *child.exitcode();
    });
    parent.start();
    parent.join();
    CHECK(parent.exitcode() == 3);
}

TEST_CASE("parity 24: a program with threads cannot fork, and is told what to do") {
    process child([] {});
    {
        std::atomic<bool> may_end = false;
        const std::jthread other([&] { may_end.wait(false); });
        CHECK_THROWS_WITH_AS(child.start(), doctest::Contains("launcher"), std::logic_error);
        may_end = true;
        may_end.notify_one();
    }
    child.start();
    child.join();
    CHECK(child.exitcode() == 0);
}

TEST_CASE("parity 24: only the main thread starts processes") {
    process child([] {});
    std::jthread(
        [&] { CHECK_THROWS_WITH_AS(child.start(), doctest::Contains("launcher"), std::logic_error); });
}

TEST_CASE("parity 24: the parent's handlers of signals do not run in the child") {
    static shared<std::atomic<int>> handled;
    struct sigaction before{};
    struct sigaction action{};
    action.sa_handler = [](int) { ++*handled; };
    REQUIRE(::sigaction(SIGUSR2, &action, &before) == 0);
    process child(sleep_for_ever);
    child.start();
    child.send_signal(SIGUSR2);
    child.join();
    CHECK(child.exitcode() == -SIGUSR2);
    CHECK(*handled == 0);
    ::sigaction(SIGUSR2, &before, nullptr);
}

TEST_CASE("a child lets in the signals that its parent keeps out") {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    process child(sleep_for_ever);
    child.start();
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    child.terminate();
    child.join();
    CHECK(child.exitcode() == -SIGTERM);
}

TEST_CASE("a copy that was made by fork itself has no children, and ends well") {
    process child(sleep_for_ever);
    child.start();
    Child copy([&] { return processes::all().empty() ? 0 : 1; });
    CHECK(copy.join() == 0);
    CHECK(child.alive());
    child.kill();
}
