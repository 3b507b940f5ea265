// Starting and ending: addresses, signals, exit codes.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <algorithm>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "tests/system/bytes.hpp"
#include "tests/system/children.hpp"
#include "tests/system/client.hpp"
#include "tests/system/member.hpp"
#include "tests/system/patience.hpp"
#include "tests/system/server_process.hpp"

namespace confab::system_tests {
namespace {

// A folder of its own, gone with the object.
class TemporaryFolder {
  public:
    TemporaryFolder() {
        std::string pattern = (std::filesystem::temp_directory_path() / "confab-XXXXXX").string();
        REQUIRE(::mkdtemp(pattern.data()) != nullptr);
        path_ = pattern;
    }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    ~TemporaryFolder() {
        std::error_code ignored;  // a test has nothing to do about what stays behind
        std::filesystem::remove_all(path_, ignored);
    }

    std::string operator/(const char* name) const { return path_ / name; }

  private:
    std::filesystem::path path_;
};

void expect_echo(const std::string& address) {
    Client client(address);
    client.send("hello\n");
    client.expect("hello\n");
}

// A run that must end by itself.
struct Run {
    Exit exit;
    std::vector<std::string> said;
};

Run run(std::vector<std::string> arguments) {
    Child child(std::move(arguments));
    const Exit exit = child.wait_for_exit();
    return {.exit = exit, .said = child.said()};
}

TEST_CASE("port 0 is answered with the real port, and two servers get two") {
    const ServerProcess one({.app = "echo"});
    const ServerProcess two({.app = "echo"});
    CHECK(one.address().starts_with("127.0.0.1:"));
    CHECK(one.address() != "127.0.0.1:0");
    CHECK(one.address() != two.address());
    expect_echo(one.address());
    expect_echo(two.address());
}

TEST_CASE("an IPv6 address is listened on") {
    const ServerProcess server({.app = "echo", .listen = {"[::1]:0"}});
    CHECK(server.address().starts_with("[::1]:"));
    expect_echo(server.address());
}

TEST_CASE("a Unix socket is listened on, and taken away at the end") {
    const TemporaryFolder folder;
    const std::string path = folder / "socket";
    ServerProcess server({.app = "echo", .listen = {"unix:" + path}});
    CHECK(server.address() == "unix:" + path);
    expect_echo(server.address());
    server.stop();
    CHECK(!std::filesystem::exists(path));
}

TEST_CASE("the socket that a killed server left behind is no obstacle, the socket of a running one is") {
    const TemporaryFolder folder;
    const std::string address = "unix:" + (folder / "socket");
    {
        ServerProcess killed({.app = "echo", .listen = {address}});
        killed.child().signal(SIGKILL);
        CHECK(killed.child().wait_for_exit().by_signal);
    }
    // The kernel takes a killed ring apart after its process has gone, and only then closes what the ring
    // held.
    const Deadline deadline;
    while (Client::is_listening(address)) REQUIRE(deadline.milliseconds_left() > 0);
    const ServerProcess server({.app = "echo", .listen = {address}});
    expect_echo(address);
    const Run second = run(serve_arguments({.app = "echo", .listen = {address}}));
    CHECK(second.exit == Exit{.code = 1});
    expect_echo(address);
}

TEST_CASE("each of several --listen is served") {
    const TemporaryFolder folder;
    ServerProcess server(
        {.app = "echo", .listen = {"127.0.0.1:0", "[::1]:0", "unix:" + (folder / "socket")}});
    for (std::size_t listener = 0; listener < 3; ++listener) expect_echo(server.address(listener));
    server.stop();
}

TEST_CASE("a port in use ends the start with exit code 1 and one line that says what and why") {
    const ServerProcess server({.app = "echo"});
    const Run second = run(serve_arguments({.app = "echo", .listen = {server.address()}}));
    CHECK(second.exit == Exit{.code = 1});
    REQUIRE(second.said.size() == 1);
    CHECK(second.said[0].ends_with("cannot listen on " + server.address() + ": address already in use"));
    expect_echo(server.address());
}

TEST_CASE("too few descriptors to begin with end the start, with a code and one line that say why") {
    for (rlim_t descriptors = 6; descriptors < 20; ++descriptors) {
        CAPTURE(descriptors);
        Child child(serve_arguments({.app = "echo"}), descriptors);
        // It ends by itself, or it has got all that it needs and ends as asked.
        const bool has_started = child.says_before_it_ends("listening on ");
        if (has_started) child.signal(SIGTERM);
        const Exit exit = child.wait_for_exit();
        // 3: it is the processes under it that cannot begin.
        const bool no_processes = strategy_under_test().several_processes && exit.code == 3;
        CHECK(exit == Exit{.code = has_started ? 0 : no_processes ? 3 : 1});
        // Of several threads that make rings, one may have made do with less, and said so, before another
        // failed.
        const auto is_reason = [](const std::string& line) { return !line.contains("confab: warning: "); };
        if (!has_started) CHECK(std::ranges::count_if(child.said(), is_reason) == 1);
    }
}

TEST_CASE("what the command line does not know ends the start with exit code 2 and one line that names it") {
    const struct {
        std::vector<std::string> arguments;
        std::string named;
    } cases[] = {
        {{"serve", "--no-such-option"}, "--no-such-option"},
        {{"serve", "--app", "whisper"}, "whisper"},
        {{"serve", "--strategy", "magic"}, "magic"},
        {{"serve", "--max-line", "many"}, "many"},
        {{"serve", "--listen", "nowhere"}, "nowhere"},
        {{"serve", "--listen", "127.0.0.1:99999"}, "99999"},
        {{"serve", "--waiting", "patiently"}, "patiently"},
    };
    for (const auto& one : cases) {
        CAPTURE(one.named);
        const Run wrong = run(one.arguments);
        CHECK(wrong.exit == Exit{.code = 2});
        REQUIRE(wrong.said.size() == 1);
        CHECK(wrong.said[0].contains(one.named));
    }
}

TEST_CASE("what would have no effect under a strategy ends the start with exit code 2 and the reason") {
    const struct {
        std::vector<std::string> flags;
        std::string why;
    } cases[] = {
        {{"--recycle-after", "9", "--strategy", "percore"},
         "--recycle-after has no use under strategy percore: with one process"},
        {{"--recycle-memory", "9", "--waiting", "uring"},
         "--recycle-memory has no use under strategy 1x1xuring: with one process"},
        {{"--cpu-affinity", "auto", "--strategy", "epoll"},
         "--cpu-affinity auto has no use under strategy epoll: a single thread"},
        {{"--cpu-affinity", "auto", "--strategy", "thread"},
         "--cpu-affinity auto has no use under strategy thread: the threads of all"},
        {{"--cpu-affinity", "auto", "--strategy", "fork"},
         "--cpu-affinity auto has no use under strategy fork: processes that come"},
        {{"--recycle-after", "9", "--strategy", "fork"},
         "--recycle-after has no use under strategy fork: a process ends with"},
    };
    for (const auto& one : cases) {
        CAPTURE(one.why);
        std::vector<std::string> arguments{"serve", "--listen", "127.0.0.1:0"};
        arguments.insert(arguments.end(), one.flags.begin(), one.flags.end());
        const Run refused = run(arguments);
        CHECK(refused.exit == Exit{.code = 2});
        REQUIRE(refused.said.size() == 1);
        CHECK(refused.said[0].contains(one.why));
    }
}

TEST_CASE("--check-config says whether the options are good, and starts nothing") {
    const Run good = run(serve_arguments({.app = "echo", .flags = {"--check-config"}}));
    CHECK(good.exit == Exit{});
    CHECK(good.said == std::vector<std::string>{"confab: the configuration is good"});
    const Run bad =
        run(serve_arguments({.app = "echo", .listen = {"nowhere.invalid:1"}, .flags = {"--check-config"}}));
    CHECK(bad.exit == Exit{.code = 2});
    REQUIRE(bad.said.size() == 1);
    CHECK(bad.said[0].contains("--listen nowhere.invalid:1"));
}

std::string content_of(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
}

TEST_CASE(
    "the pidfile holds the process's number while it runs, one left behind is replaced, a held one is not") {
    const TemporaryFolder folder;
    const std::string path = folder / "pid";
    const std::vector<std::string> flags{"--pidfile", path};
    {
        ServerProcess killed({.app = "echo", .flags = flags});
        CHECK(content_of(path) == std::to_string(killed.child().pid()) + "\n");
        killed.child().signal(SIGKILL);
        CHECK(killed.child().wait_for_exit().by_signal);
    }
    ServerProcess server({.app = "echo", .flags = flags});
    const std::string number = std::to_string(server.child().pid());
    CHECK(content_of(path) == number + "\n");
    const Run second = run(serve_arguments({.app = "echo", .flags = flags}));
    CHECK(second.exit == Exit{.code = 1});
    REQUIRE(second.said.size() == 1);
    CHECK(second.said[0].ends_with("the pidfile " + path + " is held by process " + number + ", which runs"));
    server.stop();
    CHECK(!std::filesystem::exists(path));
}

TEST_CASE("SIGTERM and SIGINT end a server that has no clients with exit code 0") {
    for (const int number : {SIGTERM, SIGINT}) {
        ServerProcess server({.app = "echo"});
        server.child().signal(number);
        CHECK(server.child().wait_for_exit() == Exit{});
    }
}

TEST_CASE("SIGTERM closes the connections of idle clients and ends with exit code 0") {
    ServerProcess server({.app = "echo"});
    Client client(server.address());
    client.send("hello");
    client.expect("hello");
    server.stop();
    client.expect_end();
}

void check_that_it_drains(const std::function<void(ServerProcess&)>& ask_it_to_end) {
    ServerProcess server({.app = "echo"});
    Client client(server.address(), {.receive_buffer = 65536});
    const std::string bytes = noise(16UL * 1024 * 1024);
    const std::size_t sent = client.send_until_stuck(bytes);
    ask_it_to_end(server);
    const Rest rest = client.rest();
    // What the server had not yet received when it stopped it does not owe; what comes back is right, and in
    // order.
    CHECK(!rest.bytes.empty());
    CHECK((rest.bytes == bytes.substr(0, rest.bytes.size())));
    CHECK(rest.bytes.size() <= sent);
    CHECK(server.child().wait_for_exit() == Exit{});
}

TEST_CASE("SIGTERM lets what is owed reach a client that reads") {
    check_that_it_drains([](ServerProcess& server) { server.child().signal(SIGTERM); });
}

TEST_CASE("SIGINT does, too, also when every process gets it, as all do from a terminal") {
    check_that_it_drains([](ServerProcess& server) {
        for (const Stranger& process : children_of(server.child().pid())) process.signal(SIGINT);
        server.child().signal(SIGINT);
    });
}

TEST_CASE("SIGUSR1 prints who waits where, and nobody is disturbed") {
    ServerProcess server({.app = "echo"});
    Client client(server.address());
    client.send("before");
    client.expect("before");
    server.child().signal(SIGUSR1);
    // State machines are no tasks; their listeners' are.
    const bool has_task = strategy_under_test().serves_in_tasks;
    server.child().wait_for_said(
        [&](const std::string& line) {
            return line.contains(has_task ? "connection (" : "accept (") &&
                   line.contains(has_task ? ") waits in receive at " : ") waits in accept at ");
        },
        "what its tasks wait in");
    client.send("after");
    client.expect("after");
    server.stop();
}

TEST_CASE("parity 120: after SIGTERM nobody new is accepted") {
    ServerProcess server({.app = "echo"});
    const std::string address = server.address();
    server.stop();
    // The port is free again at once, for a server of the same name.
    const ServerProcess next({.app = "echo", .listen = {address}});
    expect_echo(address);
}

TEST_CASE("a second SIGTERM does not wait for a client that does not read") {
    ServerProcess server({.app = "echo"});
    Client stuck(server.address(), {.receive_buffer = 65536});
    CHECK(stuck.send_until_stuck(noise(16UL * 1024 * 1024)) > 0);
    // A signal that comes while the one before is still pending is the same signal: send until a second one
    // has come.
    const Deadline deadline;
    do {
        REQUIRE(deadline.milliseconds_left() > 0);
        server.child().signal(SIGTERM);
    } while (!server.child().has_ended_within(std::chrono::milliseconds(20)));
}

// Has the client owed more than it will ever take, so that it holds up a drain. A moment in which nothing
// moves is not enough, since a server that has not had its turn looks the same: it has to say, too, that it
// waits to send.
void have_owed(ServerProcess& server, Client& client) {
    const std::string bytes = noise(16UL * 1024 * 1024);
    std::size_t sent = client.send_until_stuck(bytes);
    if (!strategy_under_test().serves_in_tasks) return;  // who is no task does not say where it waits
    const Deadline deadline;
    while (true) {
        const auto heard_before = static_cast<std::ptrdiff_t>(server.child().said().size());
        server.child().signal(SIGUSR1);
        const std::size_t more = client.send_until_stuck(std::string_view(bytes).substr(sent));
        sent += more;
        const std::vector<std::string> said = server.child().said();
        const bool waits = std::any_of(said.begin() + heard_before, said.end(), [](const std::string& line) {
            return line.contains("connection (") && line.contains(") waits in send at ");
        });
        if (waits && more == 0) return;
        REQUIRE(sent < bytes.size());
        REQUIRE(deadline.milliseconds_left() > 0);
    }
}

void wait_for_the_cut(ServerProcess& server) {
    server.child().wait_for_said([](const std::string& line) { return line.contains("(--drain-timeout)"); },
                                 "that the drain took too long");
    CHECK(server.child().wait_for_exit() == Exit{});
}

TEST_CASE(
    "parity 120: a drain ends at --drain-timeout, with exit code 0, though a client does not read what it is "
    "owed") {
    ServerProcess server({.app = "echo", .flags = {"--drain-timeout", "1"}});
    Client stuck(server.address(), {.receive_buffer = 65536});
    have_owed(server, stuck);
    server.child().signal(SIGTERM);
    wait_for_the_cut(server);
    stuck.rest();  // what was on its way, and then an end
}

TEST_CASE("a --drain-timeout of 0 cuts at once whoever is owed something") {
    ServerProcess server({.app = "echo", .flags = {"--drain-timeout", "0"}});
    Client stuck(server.address(), {.receive_buffer = 65536});
    have_owed(server, stuck);
    server.child().signal(SIGTERM);
    wait_for_the_cut(server);
}

TEST_SUITE_BEGIN(needs::several_clients);

TEST_CASE("a drain that one client holds up is none the worse for the others") {
    ServerProcess server({.app = "echo", .flags = {"--drain-timeout", "2"}});
    Client stuck(server.address(), {.receive_buffer = 65536});
    have_owed(server, stuck);
    Client reader(server.address(), {.receive_buffer = 65536});
    Client idle(server.address());
    const std::string bytes = noise(16UL * 1024 * 1024);
    CHECK(reader.send_until_stuck(bytes) > 0);
    idle.send("here");
    idle.expect("here");
    server.child().signal(SIGTERM);
    idle.expect_end();
    const Rest rest = reader.rest();
    CHECK(!rest.bytes.empty());
    CHECK((rest.bytes == bytes.substr(0, rest.bytes.size())));
    wait_for_the_cut(server);
}

TEST_SUITE_END();

TEST_SUITE_BEGIN(needs::chat_with_several_clients);

TEST_CASE("a drain that a member who does not read holds up says goodbye to the others") {
    ServerProcess server({.app = "chat", .flags = {"--drain-timeout", "2", "--max-queued", "67108864"}});
    const Member stuck(server.address(), "stuck", {.receive_buffer = 65536});
    Member speaker(server.address(), "speaker");
    const std::string text(4000, 'x');
    for (int line = 0; line < 3000; ++line) speaker.say(text);
    speaker.lines_until_pong("all is said");
    server.child().signal(SIGTERM);
    speaker.expect_line("* server is going down: goodbye");
    speaker.expect_end();
    wait_for_the_cut(server);
}

TEST_SUITE_END();

}  // namespace
}  // namespace confab::system_tests
