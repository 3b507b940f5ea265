// The limits of the chat, and its end: what the members are told, and that nothing said is lost.
#include <doctest/doctest.h>

#include <algorithm>

#include "tests/system/member.hpp"
#include "tests/system/patience.hpp"
#include "tests/system/server_process.hpp"

namespace confab::system_tests {
namespace {

TEST_SUITE_BEGIN(needs::chat_with_several_clients);

TEST_CASE("a member who does not read is dropped with a reason, and nobody waits for him") {
    ServerProcess server({.app = "chat", .flags = {"--max-queued", "65536"}});
    Member alice(server.address(), "alice");
    Member bob(server.address(), "bob");
    Member slow(server.address(), "slow", {.receive_buffer = 65536});
    settle({&alice, &bob, &slow});
    const std::string words(4000, 'w');
    const std::string heard = "[lobby] alice: " + words;
    const Deadline deadline;
    for (bool dropped = false; !dropped;) {
        REQUIRE(deadline.milliseconds_left() > 0);
        alice.say(words);
        std::string line = bob.line();
        if (line != heard) {
            CHECK(line == "* [lobby] slow left (too slow)");
            dropped = true;
            bob.expect_line(heard);
        }
    }
    alice.expect_line("* [lobby] slow left (too slow)");
    // All that the kernel had taken for him, in order; then it is over.
    const Rest rest = slow.rest();
    CHECK(rest.bytes.starts_with(heard));
    alice.say("after");
    bob.expect_line("[lobby] alice: after");
    server.stop();
}

TEST_CASE("coming and going is announced only in rooms that are small enough") {
    const ServerProcess server({.app = "chat", .flags = {"--announced-members", "2"}});
    Member alice(server.address(), "alice");
    alice.join("den");
    alice.ask("/part lobby");
    Member bob(server.address(), "bob");
    bob.join("den");
    bob.ask("/part lobby");
    alice.expect_line("* [den] bob joined");
    Member carol(server.address(), "carol");
    carol.join("den");
    carol.ask("/part lobby");
    carol.say("hello");
    alice.expect_line("[den] carol: hello");  // and nothing before it
    bob.expect_line("[den] carol: hello");
}

TEST_CASE("rooms a member can be in are limited") {
    const ServerProcess server({.app = "chat", .flags = {"--rooms-per-member", "3"}});
    Member alice(server.address(), "alice");
    alice.join("one");
    alice.join("two");
    CHECK(alice.expect_refusal("/join three").contains("3"));
    for (const std::string& line : alice.ask("/part one")) CHECK(line.starts_with("* "));
    alice.join("three");
}

TEST_SUITE_END();

TEST_SUITE_BEGIN(needs::chat);

TEST_CASE("an idle member is told why, and sent away") {
    const ServerProcess server({.app = "chat", .flags = {"--idle-timeout", "1"}});
    Member idle(server.address(), "idle");
    const Rest rest = idle.rest();
    CHECK(rest.bytes == "! you were silent for too long: goodbye\n");
    CHECK(rest.ending == Ending::end_of_stream);
}

TEST_CASE("lines over the allowed rate are refused, and those within it are not") {
    const ServerProcess server({.app = "chat", .flags = {"--rate", "1", "--burst", "5"}});
    Client client(server.address());
    constexpr int sent = 1000;
    std::string lines;
    for (int number = 0; number < sent; ++number) lines += "/ping " + std::to_string(number) + "\n";
    client.send_while_receiving(lines);
    client.half_close();
    client.expect_line_with("* welcome");
    // However slow this machine is, the first five are within the burst; and it is not a thousand seconds
    // slow.
    for (int number = 0; number < 5; ++number) client.expect_line("* pong " + std::to_string(number));
    const Rest rest = client.rest();
    CHECK(rest.bytes.contains("! too fast, that line was dropped: 1 lines a second at most\n"));
    CHECK(std::ranges::count(rest.bytes, '\n') == sent - 5);
}

TEST_CASE("SIGTERM tells a member that the server ends, answers what it has asked, and closes") {
    ServerProcess server({.app = "chat"});
    Member alice(server.address(), "alice");
    server.stop();
    const Rest rest = alice.rest();
    CHECK(rest.bytes == "* server is going down: goodbye\n");
    CHECK(rest.ending == Ending::end_of_stream);
}

TEST_SUITE_END();

TEST_SUITE_BEGIN(needs::chat_with_several_clients);

TEST_CASE("SIGTERM loses nothing that was said before it") {
    ServerProcess server({.app = "chat"});
    Member alice(server.address(), "alice");
    Member bob(server.address(), "bob");
    settle({&alice, &bob});
    std::string expected;
    for (int number = 0; number < 500; ++number) {
        alice.say("words " + std::to_string(number));
        expected += "[lobby] alice: words " + std::to_string(number) + "\n";
    }
    alice.expect_silence_until("all said");
    server.stop();
    bob.expect(expected);
    const Rest rest = bob.rest();
    CHECK(rest.bytes == "* server is going down: goodbye\n");
    CHECK(rest.ending == Ending::end_of_stream);
}

TEST_SUITE_END();

}  // namespace
}  // namespace confab::system_tests
