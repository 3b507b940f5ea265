// --user and --group: who it is that serves.
#include <doctest/doctest.h>
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <csignal>
#include <deque>
#include <string>
#include <vector>

#include "tests/system/children.hpp"
#include "tests/system/client.hpp"
#include "tests/system/member.hpp"
#include "tests/system/server_process.hpp"

namespace confab::system_tests {
namespace {

bool can_become_others() {
    if (::geteuid() == 0) return true;
    MESSAGE("SKIPPED: only root can have another user serve");
    return false;
}

// Four times the same number: real, effective, saved, file system.
std::string all_are(unsigned number) {
    const std::string one = std::to_string(number);
    return one + ' ' + one + ' ' + one + ' ' + one;
}

const passwd& nobody() {
    const passwd* const entry = ::getpwnam("nobody");
    REQUIRE(entry != nullptr);
    return *entry;
}

// Those that serve. Requires: it has clients, where it has a process for each.
std::vector<pid_t> who_serves(ServerProcess& server) {
    const pid_t started = server.child().pid();
    return strategy_under_test().several_processes ? child_pids_of(started) : std::vector{started};
}

TEST_CASE(
    "with --user every process that serves is that user, and the one that looks after them stays root") {
    if (!can_become_others()) return;
    ServerProcess server({.app = "echo", .flags = {"--user", "nobody"}});
    const int count = strategy_under_test().one_client_at_a_time ? 1 : 3;
    const std::deque<Client> clients = served_clients(server.address(), count);
    const std::vector<pid_t> serving = who_serves(server);
    CHECK(!serving.empty());
    for (const pid_t pid : serving) {
        CHECK(status_field(pid, "Uid") == all_are(nobody().pw_uid));
        CHECK(status_field(pid, "Gid") == all_are(nobody().pw_gid));
        CHECK(status_field(pid, "Groups") == std::to_string(nobody().pw_gid));
        CHECK(status_field(pid, "CapEff") == "0000000000000000");
    }
    if (strategy_under_test().several_processes) {
        CHECK(status_field(server.child().pid(), "Uid") == all_are(0));
    }
    server.stop();
}

TEST_CASE("--group is the group instead of the user's own, and may come without a user") {
    if (!can_become_others()) return;
    const group* const other = ::getgrnam("daemon");
    REQUIRE(other != nullptr);
    for (const bool with_user : {true, false}) {
        CAPTURE(with_user);
        std::vector<std::string> flags{"--group", "daemon"};
        if (with_user) flags.insert(flags.end(), {"--user", "nobody"});
        ServerProcess server({.app = "echo", .flags = flags});
        const std::deque<Client> clients = served_clients(server.address(), 1);
        for (const pid_t pid : who_serves(server)) {
            CHECK(status_field(pid, "Uid") == all_are(with_user ? nobody().pw_uid : 0));
            CHECK(status_field(pid, "Gid") == all_are(other->gr_gid));
            CHECK(status_field(pid, "Groups") == std::to_string(other->gr_gid));
        }
        server.stop();
    }
}

TEST_CASE("a user or a group that does not exist ends the start with exit code 2 before it listens") {
    for (const std::string option : {"--user", "--group"}) {
        CAPTURE(option);
        Child child(serve_arguments({.app = "echo", .flags = {option, "no-such-name"}}));
        CHECK(child.wait_for_exit() == Exit{.code = 2});
        REQUIRE(child.said().size() == 1);
        CHECK(child.said()[0].contains(option + " no-such-name does not exist"));
    }
}

TEST_SUITE_BEGIN(needs::several_processes);

TEST_CASE("no process that has become another user outlives the one that was started") {
    if (!can_become_others()) return;
    ServerProcess server({.app = "echo", .flags = {"--user", "nobody"}});
    const std::deque<Client> clients = served_clients(server.address(), 3);
    const std::vector<Stranger> processes = children_of(server.child().pid());
    REQUIRE(!processes.empty());
    server.child().signal(SIGKILL);
    for (const Stranger& process : processes) CHECK(process.ends());
}

TEST_SUITE_END();

TEST_SUITE_BEGIN(needs::chat_with_several_clients);

TEST_CASE("the chat goes on between processes of another user") {
    if (!can_become_others()) return;
    ServerProcess server({.app = "chat", .flags = {"--user", "nobody"}});
    Member ann(server.address(), "ann");
    Member ben(server.address(), "ben");
    settle({&ann, &ben});
    ann.say("can you hear me?");
    ben.expect_line("[lobby] ann: can you hear me?");
    ben.say("yes");
    ann.expect_line("[lobby] ben: yes");
    server.stop();
}

TEST_SUITE_END();

}  // namespace
}  // namespace confab::system_tests
