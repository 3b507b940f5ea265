// Strategies of several processes: what happens to the others when one of them is killed.
#include <doctest/doctest.h>
#include <algorithm>
#include <csignal>
#include <deque>
#include <string>
#include <vector>

#include "tests/system/children.hpp"
#include "tests/system/client.hpp"
#include "tests/system/server_process.hpp"

namespace confab::system_tests {
namespace {

TEST_SUITE_BEGIN(needs::several_processes);

TEST_CASE("a process that is killed takes its own clients with it and nobody else's, and is replaced") {
    ServerProcess server({.app = "echo"});
    std::deque<Client> clients = served_clients(server.address(), 6);
    const std::vector<Stranger> processes = children_of(server.child().pid());
    REQUIRE(processes.size() >= 2);
    processes.front().kill();
    const std::string its_number = std::to_string(processes.front().pid());
    server.child().wait_for_said(
        [&](const std::string& line) { return line.contains(its_number) && line.contains("killed"); },
        "that a process was killed");
    std::size_t served_on = 0;
    for (Client& client : clients) {
        if (!client.send_what_fits("still there?")) continue;
        if (client.answers()) ++served_on;
    }
    CHECK(served_on > 0);
    CHECK(served_clients(server.address(), 6).size() == 6);
    server.stop();
}

TEST_CASE("no process outlives the one that was started") {
    ServerProcess server({.app = "echo"});
    const std::deque<Client> clients = served_clients(server.address(), 4);
    const std::vector<Stranger> processes = children_of(server.child().pid());
    REQUIRE(!processes.empty());
    server.child().signal(SIGKILL);
    for (const Stranger& process : processes) CHECK(process.ends());
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

}  // namespace
}  // namespace confab::system_tests
