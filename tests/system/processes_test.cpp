// Strategies of several processes: what happens to the others when one of them is killed.
#include <doctest/doctest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "tests/system/children.hpp"
#include "tests/system/client.hpp"
#include "tests/system/patience.hpp"
#include "tests/system/server_process.hpp"
#include "tests/system/worker_table.hpp"

namespace confab::system_tests {
namespace {

// While it lives, who loses its parent becomes a child of this process, and nobody else waits for it: so no
// orphan is overlooked, whether it has ended or not.
class Orphans {
  public:
    Orphans() { REQUIRE(::prctl(PR_SET_CHILD_SUBREAPER, 1) == 0); }
    Orphans(const Orphans&) = delete;
    Orphans& operator=(const Orphans&) = delete;
    ~Orphans() { CHECK(::prctl(PR_SET_CHILD_SUBREAPER, 0) == 0); }

    // Waits for the end of all of them, and says how many they were. Requires: no other children.
    std::size_t bury() const {
        std::size_t buried = 0;
        for (siginfo_t ended{}; ::waitid(P_ALL, 0, &ended, WEXITED | WNOHANG) == 0; ended = {}) {
            if (ended.si_pid != 0) {
                ++buried;
                continue;
            }
            const std::vector<Stranger> alive = children_of(::getpid());
            REQUIRE(!alive.empty());
            REQUIRE(alive.front().ends());
        }
        REQUIRE(errno == ECHILD);
        return buried;
    }
};

TEST_SUITE_BEGIN(needs::several_processes);

TEST_CASE("a process that is killed takes its own clients with it and nobody else's, and is replaced") {
    ServerProcess server({.app = "echo"});
    std::deque<Client> clients = served_clients(server.address(), 6);
    // Who gets whom is the kernel's choice, which may fall on one process many times in a row.
    const auto with_clients = [](const Table& table) {
        return table.size() - static_cast<std::size_t>(std::ranges::count(table, 0U, &Row::connections));
    };
    const Deadline deadline;
    Table table = table_of(server);
    while (with_clients(table) < 2) {
        REQUIRE(deadline.milliseconds_left() > 0);
        clients.push_back(std::move(served_clients(server.address(), 1).front()));
        table = table_of(server);
    }
    REQUIRE(connections_in(table) == clients.size());
    const Row doomed = *std::ranges::max_element(table, {}, &Row::connections);
    const std::string its_number = std::to_string(doomed.pid);
    std::vector<Stranger> processes = children_of(server.child().pid());
    const auto process = std::ranges::find(processes, doomed.pid, &Stranger::pid);
    REQUIRE(process != processes.end());
    process->kill();
    server.child().wait_for_said(
        [&](const std::string& line) { return line.contains(its_number) && line.contains("killed"); },
        "that a process was killed");
    std::size_t served_on = 0;
    for (Client& client : clients) {
        if (!client.send_what_fits("still there?")) continue;
        if (client.answers()) ++served_on;
    }
    CHECK(served_on == clients.size() - doomed.connections);
    CHECK(served_clients(server.address(), 6).size() == 6);
    server.stop();
}

TEST_CASE("no process outlives the one that was started") {
    ServerProcess server({.app = "echo"});
    const std::deque<Client> clients = served_clients(server.address(), 4);
    const Orphans orphans;
    const std::vector<Stranger> processes = children_of(server.child().pid());
    REQUIRE(!processes.empty());
    server.child().signal(SIGKILL);
    for (const Stranger& process : processes) CHECK(process.ends());
    CHECK(server.child().wait_for_exit() == Exit{.by_signal = true, .code = SIGKILL});
    // Nobody but those, and none that had to be looked for.
    CHECK(orphans.bury() == processes.size());
}

TEST_CASE("no process outlives the one that was started, also when it has just forked") {
    for (int round = 0; round < 10; ++round) {
        CAPTURE(round);
        ServerProcess server({.app = "echo"});
        const Orphans orphans;
        std::deque<Client> clients = served_clients(server.address(), 2);
        const std::vector<pid_t> before = child_pids_of(server.child().pid());
        for (const Stranger& process : children_of(server.child().pid())) process.kill();
        clients.emplace_back(server.address());  // a process per connection is followed by none without
        const auto is_new = [&before](pid_t pid) { return std::ranges::count(before, pid) == 0; };
        const Deadline deadline;
        while (std::ranges::none_of(child_pids_of(server.child().pid()), is_new)) {
            REQUIRE(deadline.milliseconds_left() > 0);
        }
        server.child().signal(SIGKILL);
        CHECK(server.child().wait_for_exit() == Exit{.by_signal = true, .code = SIGKILL});
        CHECK(orphans.bury() > 0);
    }
}

TEST_CASE("a process that is asked to end by somebody else is replaced") {
    ServerProcess server({.app = "echo"});
    const std::vector<Stranger> before = children_of(server.child().pid());
    for (const Stranger& process : before) ::kill(process.pid(), SIGTERM);
    for (const Stranger& process : before) CHECK(process.ends());
    CHECK(served_clients(server.address(), 6).size() == 6);
    server.stop();
}

TEST_SUITE_END();

TEST_SUITE_BEGIN(needs::number_of_processes);

TEST_CASE(
    "clients that come one by one and stay are spread evenly: no process has a fifth more than its share") {
    constexpr std::size_t processes = 8;
    const std::size_t count = strategy_under_test().serves_as_many_as_it_has ? processes : 800;
    ServerProcess server({.app = "echo", .strategy = with_processes(std::to_string(processes))});
    const std::deque<Client> clients = served_clients(server.address(), static_cast<int>(count));
    const Table table = table_of(server);
    CHECK(table.size() == processes);
    CHECK(connections_in(table) == count);
    for (const Row& row : table) {
        CAPTURE(row.pid);
        CHECK(row.connections * processes * 10 <= count * 12);
    }
    server.stop();
}

TEST_SUITE_END();

}  // namespace
}  // namespace confab::system_tests
