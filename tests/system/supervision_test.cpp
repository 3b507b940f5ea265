// The supervisor of several processes: what it shows, replaces, adds, takes away, and how it ends.
#include <doctest/doctest.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <deque>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/system/children.hpp"
#include "tests/system/client.hpp"
#include "tests/system/member.hpp"
#include "tests/system/patience.hpp"
#include "tests/system/server_process.hpp"
#include "tests/system/worker_table.hpp"

namespace confab::system_tests {
namespace {

std::string wait_for_said_with(ServerProcess& server, const std::string& piece) {
    return server.child().wait_for_said([&](const std::string& line) { return line.contains(piece); }, piece);
}

Stranger child_with(ServerProcess& server, pid_t pid) {
    std::vector<Stranger> children = children_of(server.child().pid());
    const auto child = std::ranges::find(children, pid, &Stranger::pid);
    REQUIRE(child != children.end());
    return std::move(*child);
}

void answers_still(Client& client) {
    client.send("still there?");
    client.expect("still there?");
}

// While it lives, the process, if it is still there, and those it forks can have no more of that.
class Limited {
  public:
    Limited(pid_t pid, __rlimit_resource resource, rlim_t most) : pid_(pid), resource_(resource) {
        REQUIRE(::prlimit(pid, resource, nullptr, &before_) == 0);
        const rlimit little{.rlim_cur = most, .rlim_max = before_.rlim_max};
        REQUIRE(::prlimit(pid, resource, &little, nullptr) == 0);
    }
    Limited(const Limited&) = delete;
    Limited& operator=(const Limited&) = delete;
    ~Limited() { CHECK((::prlimit(pid_, resource_, &before_, nullptr) == 0 || errno == ESRCH)); }

  private:
    pid_t pid_;
    __rlimit_resource resource_;
    rlimit before_{};
};

// Memory for what it does itself and to fork, and none for the stack of another thread, without which no
// worker can begin.
Limited without_threads(ServerProcess& server) {
    constexpr rlim_t spare = 1 << 20;
    const pid_t pid = server.child().pid();
    return {pid, RLIMIT_AS, std::stoul(status_field(pid, "VmSize")) * 1024 + spare};  // "N kB"
}

TEST_CASE("a sent SIGHUP, SIGTTIN and SIGTTOU end nobody's connection, whatever they do") {
    ServerProcess server({.app = "echo"});
    Client client(server.address());
    answers_still(client);
    for (const int number : {SIGHUP, SIGTTIN, SIGTTOU}) server.child().signal(number);
    CHECK(connections_in(table_of(server)) == 1);  // it has heard them by now
    answers_still(client);
    server.stop();
}

TEST_CASE("SIGQUIT prints the table and every task tree, and ends at once, whoever is connected") {
    ServerProcess server({.app = "echo"});
    Client client(server.address());
    answers_still(client);
    server.child().signal(SIGQUIT);
    CHECK(server.child().wait_for_exit() == Exit{.code = 0});
    const std::vector<std::string> said = server.child().said();
    const auto says = [&said](const std::string& piece) {
        return std::ranges::any_of(said, [&](const std::string& line) { return line.contains(piece); });
    };
    CHECK(says("processes that serve: "));
    if (strategy_under_test().serves_in_tasks) CHECK(says("connection (connection.cpp"));
}

TEST_SUITE_BEGIN(needs::several_processes);

TEST_CASE("SIGUSR1 prints a table that says of each process who it is and what it does") {
    ServerProcess server({.app = "echo"});
    std::deque<Client> clients = served_clients(server.address(), 3);
    const Table table = wait_for_table(server, [](const Table& all) {
        return connections_in(all) == 3 && receives_in(all) == 3;  // which may be a second behind
    });
    const std::vector<pid_t> children = child_pids_of(server.child().pid());
    CHECK(pids_of(table) == std::set<pid_t>(children.begin(), children.end()));
    CHECK(all_ready(table));
    for (const Row& row : table) {
        CHECK(row.served >= row.connections);
        CHECK(row.memory > 0);
        CHECK(row.processor_seconds >= 0);
        CHECK(row.last_end == "-");
    }
    wait_for_said_with(server, "  received  ");
    clients.front().send("one\ntwo\nthree\n");  // what comes at once is received once
    clients.front().expect("one\ntwo\nthree\n");
    wait_for_table(server, [](const Table& all) { return receives_in(all) == 4; });
    clients.clear();
    wait_for_table(server, [](const Table& all) { return connections_in(all) == 0; });
    server.stop();
}

TEST_CASE("no process that has ended stays a zombie") {
    ServerProcess server({.app = "echo"});
    for (int round = 0; round < 20; ++round) served_clients(server.address(), 2);
    const std::vector<Stranger> killed = children_of(server.child().pid());
    for (const Stranger& process : killed) process.kill();
    // Until then one may still accept, and take the connection with it.
    for (const Stranger& process : killed) CHECK(process.ends());
    served_clients(server.address(), 2);
    const Deadline deadline;
    const auto is_zombie = [](pid_t pid) { return state_of(pid) == 'Z'; };
    while (std::ranges::any_of(child_pids_of(server.child().pid()), is_zombie)) {
        REQUIRE(deadline.milliseconds_left() > 0);
    }
    server.stop();
}

TEST_SUITE_END();

TEST_SUITE_BEGIN(needs::number_of_processes);

TEST_CASE("SIGHUP replaces every process, and a client goes on with the one that takes his one's place") {
    ServerProcess server({.app = "echo", .strategy = with_processes("4")});
    const std::set<pid_t> before = pids_of(table_of(server));
    Client client(server.address());
    answers_still(client);
    server.child().signal(SIGHUP);
    wait_for_said_with(server, "all workers have been replaced");
    const Table after = wait_for_table(server, [](const Table& all) { return all.size() == 4; });
    for (const Row& row : after) {
        CHECK_FALSE(before.contains(row.pid));
        CHECK(row.last_end == "reloaded");
        CHECK(row.restarts == 1);
    }
    answers_still(client);
    served_clients(server.address(), 3);
    client.half_close();
    client.expect_end();
    wait_for_table(server, [](const Table& all) { return connections_in(all) == 0; });
    server.stop();
}

TEST_CASE("a client outlasts the process that serves him even when that may not wait for him at all") {
    ServerProcess server(
        {.app = "echo", .flags = {"--retire-timeout", "0"}, .strategy = with_processes("2")});
    Client client(server.address());
    answers_still(client);
    server.child().signal(SIGHUP);
    wait_for_said_with(server, "all workers have been replaced");
    answers_still(client);
    wait_for_table(server, [](const Table& all) { return all.size() == 2 && all_ready(all); });
    server.stop();
}

TEST_CASE("a SIGHUP whose first successor cannot begin leaves every process where it was") {
    ServerProcess server({.app = "echo", .strategy = with_processes("2")});
    const std::set<pid_t> before = pids_of(table_of(server));
    Client client(server.address());
    answers_still(client);
    {
        // Fewer than it has long had, and as many as its poll(2) must be allowed to look at.
        const Limited poor(server.child().pid(), RLIMIT_NOFILE, 8);
        server.child().signal(SIGHUP);
        wait_for_said_with(server, "what has not been replaced yet stays");
    }
    CHECK(pids_of(table_of(server)) == before);
    answers_still(client);
    client.close();
    server.child().signal(SIGHUP);
    wait_for_said_with(server, "all workers have been replaced");
    wait_for_table(server, [](const Table& all) { return all.size() == 2 && all_ready(all); });
    server.stop();
}

TEST_CASE("no client loses its connection to any number of reloads") {
    ServerProcess server({.app = "echo", .strategy = with_processes("3")});
    constexpr int reloads = 15;
    const auto done = [&server] {
        return std::ranges::count_if(server.child().said(), [](const std::string& line) {
            return line.contains("all workers have been replaced");
        });
    };
    for (int reload = 0; reload < reloads; ++reload) {
        server.child().signal(SIGHUP);
        const Deadline deadline;
        do {
            REQUIRE(deadline.milliseconds_left() > 0);
            served_clients(server.address(), 1);
        } while (done() <= reload);
    }
    server.stop();
}

TEST_CASE("a crash loses the clients of its own process and no other, also none that come then") {
    ServerProcess server({.app = "echo", .strategy = with_processes("4")});
    pid_t last_victim = 0;
    for (int crash = 0; crash < 8; ++crash) {
        Client bystander(server.address());
        answers_still(bystander);
        const Table table = wait_for_table(server, [last_victim](const Table& all) {
            return connections_in(all) == 1 && std::ranges::count(all, 0U, &Row::connections) > 0 &&
                   !pids_of(all).contains(last_victim);
        });
        const Stranger victim = child_with(server, std::ranges::find(table, 0U, &Row::connections)->pid);
        last_victim = victim.pid();
        victim.signal(SIGKILL);
        CHECK(victim.ends());
        // The kernel may have woken a dead reactor for one of them, who then waits until the next one comes:
        // so one more comes than the process had reactors.
        std::deque<Client> clients;
        for (int i = 0; i < 3; ++i) clients.emplace_back(server.address());
        for (Client& client : clients) answers_still(client);
        answers_still(bystander);
    }
    server.stop();
}

TEST_CASE("SIGTTIN adds a process and SIGTTOU takes one away, but never the last") {
    ServerProcess server({.app = "echo", .strategy = with_processes("2")});
    const auto number_is = [](std::size_t number) {
        return [number](const Table& all) { return all.size() == number && all_ready(all); };
    };
    server.child().signal(SIGTTIN);
    wait_for_table(server, number_is(3));
    std::deque<Client> clients = served_clients(server.address(), 3);
    clients.clear();
    server.child().signal(SIGTTOU);
    wait_for_table(server, number_is(2));
    server.child().signal(SIGTTOU);
    wait_for_table(server, number_is(1));
    server.child().signal(SIGTTOU);
    wait_for_said_with(server, "SIGTTOU is refused");
    served_clients(server.address(), 1);
    CHECK(table_of(server).size() == 1);
    server.stop();
}

TEST_CASE("a process is recycled by --recycle-after, and every client is served") {
    ServerProcess server({.app = "echo", .flags = {"--recycle-after", "8"}, .strategy = with_processes("2")});
    const auto recycled = [](const std::string& line) { return line.contains("is recycled: it has served"); };
    const Deadline deadline;
    do {
        REQUIRE(deadline.milliseconds_left() > 0);
        served_clients(server.address(), 1);
    } while (std::ranges::none_of(server.child().said(), recycled));
    wait_for_table(server, [](const Table& all) {
        return std::ranges::any_of(all, [](const Row& row) { return row.last_end == "recycled"; });
    });
    served_clients(server.address(), 2);
    server.stop();
}

TEST_CASE("a process is recycled by --recycle-memory") {
    ServerProcess server(
        {.app = "echo", .flags = {"--recycle-memory", "1"}, .strategy = with_processes("2")});
    wait_for_said_with(server, "is recycled: it holds");
    wait_for_table(server, [](const Table& all) {
        return std::ranges::any_of(all, [](const Row& row) { return row.last_end == "recycled"; });
    });
    served_clients(server.address(), 2);
    server.stop();
}

TEST_CASE("a process that is stopped is killed and replaced, one that only waits is not") {
    ServerProcess server(
        {.app = "echo", .flags = {"--worker-timeout", "0.4"}, .strategy = with_processes("2")});
    Client client(server.address());
    answers_still(client);
    const Table table = wait_for_table(server, [](const Table& all) { return connections_in(all) == 1; });
    const auto idle = std::ranges::find(table, 0U, &Row::connections);
    REQUIRE(idle != table.end());
    const Stranger stopped = child_with(server, idle->pid);
    stopped.signal(SIGSTOP);
    CHECK(stopped.ends());
    const Table after = wait_for_table(server, [&](const Table& all) {
        return all.size() == 2 && all_ready(all) && !pids_of(all).contains(stopped.pid());
    });
    CHECK(std::ranges::count(after, "gave no sign of life", &Row::last_end) == 1);
    answers_still(client);  // whose process has waited for longer than that
    server.stop();
}

TEST_CASE("five processes in a row that cannot begin: their place is given up, and the others serve on") {
    ServerProcess server(
        {.app = "echo", .flags = {"--max-restart-pause", "0"}, .strategy = with_processes("2")});
    Client client(server.address());
    answers_still(client);
    const Table table = wait_for_table(server, [](const Table& all) { return connections_in(all) == 1; });
    const pid_t idle = std::ranges::find(table, 0U, &Row::connections)->pid;
    {
        const Limited poor = without_threads(server);
        const Stranger victim = child_with(server, idle);
        victim.kill();
        wait_for_said_with(server, "5 workers in a row did not begin: this place is given up");
    }
    // The one that was killed, and those that came after it.
    const auto ended = [](const std::string& line) { return line.contains("warning: worker "); };
    CHECK(std::ranges::count_if(server.child().said(), ended) == 1 + 5);
    answers_still(client);
    client.close();
    for (int round = 0; round < 3; ++round) served_clients(server.address(), 1);
    // Nobody is tried in that place any more, although it would begin now.
    const Table after = table_of(server);
    CHECK(after.size() == 1);
    CHECK(!pids_of(after).contains(idle));
    CHECK(std::ranges::count_if(server.child().said(), ended) == 1 + 5);
    server.stop();
}

TEST_CASE("a process that cannot begin at the start is the end, with exit code 3, before anybody is served") {
    // Enough for the listener, the scoreboard and the signals, and not for one process more.
    Child child(serve_arguments({.app = "echo", .strategy = with_processes("2")}), 8);
    CHECK(child.wait_for_exit() == Exit{.code = 3});
    REQUIRE(child.said().size() == 1);
    CHECK(child.said()[0].starts_with("confab: no worker: "));
}

TEST_CASE("without any process that can begin the end is exit code 3") {
    ServerProcess server({.app = "echo", .strategy = with_processes("2")});
    // What it has besides the two processes' (standard streams, listener, scoreboard, signals), and as many
    // as its poll(2) looks at with them: they need not all have ended when it next looks.
    const Limited poor(server.child().pid(), RLIMIT_NOFILE, 6);
    for (const Stranger& process : children_of(server.child().pid())) process.signal(SIGKILL);
    CHECK(server.child().wait_for_exit() == Exit{.code = 3});
    CHECK(server.child().said().back().contains("no worker can begin any more"));
}

TEST_CASE(
    "members of the chat move to the successors, and hear all there is to hear and nothing of the move") {
    constexpr int reloads = 5;
    ServerProcess server({.app = "chat", .strategy = with_processes("8")});
    std::deque<Member> members;
    for (const char* const nick : {"anna", "bert", "carl", "dora", "emil", "frida"})
        members.emplace_back(server.address(), nick);
    for (Member& member : members) member.join("tea");
    settle({&members[0], &members[1], &members[2], &members[3], &members[4], &members[5]}, "tea");
    int said = 0;
    int reloaded = 0;
    const auto done = [&server] {
        return std::ranges::count_if(server.child().said(), [](const std::string& line) {
            return line.contains("all workers have been replaced");
        });
    };
    const auto speak = [&] {
        members[static_cast<std::size_t>(said) % members.size()].say("line " + std::to_string(said));
        ++said;
        for (std::size_t i = 0; i < members.size(); ++i) {  // so that there is one order
            const std::size_t speaker = static_cast<std::size_t>(said - 1) % members.size();
            if (i == speaker) continue;
            members[i].expect_line("[tea] " + members[speaker].nick() + ": line " + std::to_string(said - 1));
        }
    };
    for (; reloaded < reloads; ++reloaded) {
        server.child().signal(SIGHUP);
        const Deadline deadline;
        do {
            REQUIRE(deadline.milliseconds_left() > 0);
            speak();
        } while (done() <= reloaded);
    }
    members[0].send_line("/who");
    CHECK(members[0].line().starts_with("* [tea] 6 members:"));
    members[0].expect_silence_until("nothing else");
    server.stop();
}

TEST_CASE("a stream of bytes goes on through any number of reloads, whole and in order") {
    ServerProcess server({.app = "echo", .strategy = with_processes("2")});
    Client client(server.address());
    const auto done = [&server] {
        return std::ranges::count_if(server.child().said(), [](const std::string& line) {
            return line.contains("all workers have been replaced");
        });
    };
    int block = 0;
    for (int reload = 0; reload < 5; ++reload) {
        server.child().signal(SIGHUP);
        const Deadline deadline;
        do {
            REQUIRE(deadline.milliseconds_left() > 0);
            std::string bytes;
            for (int i = 0; i < 20'000; ++i) bytes += std::to_string(block) + ':' + std::to_string(i) + ' ';
            client.send_while_receiving(bytes);
            client.expect(bytes);
            ++block;
        } while (done() <= reload);
    }
    server.stop();
}

TEST_SUITE_END();

}  // namespace
}  // namespace confab::system_tests
