// The line protocol as one member sees it, alone.
#include <doctest/doctest.h>

#include <algorithm>

#include "tests/system/bytes.hpp"
#include "tests/system/member.hpp"
#include "tests/system/server_process.hpp"

namespace confab::system_tests {
namespace {

bool any_holds(const std::vector<std::string>& lines, std::string_view piece) {
    return std::ranges::any_of(lines, [piece](const std::string& line) { return line.contains(piece); });
}

TEST_SUITE_BEGIN(needs::chat);

TEST_CASE("who connects and says nothing is welcomed as a guest in one line") {
    const ServerProcess server({.app = "chat"});
    Client client(server.address());
    client.expect_line_with("* welcome", {"guest-", "lobby"});
    client.expect_silence_until("1");
}

TEST_CASE("who speaks at once is welcomed first and answered then") {
    const ServerProcess server({.app = "chat"});
    Client client(server.address());
    client.send_line("/ping early");
    client.expect_line_with("* welcome", {"guest-"});
    client.expect_line("* pong early");
}

TEST_CASE("/ping is answered with what it was given") {
    const ServerProcess server({.app = "chat"});
    Member member(server.address(), "alice");
    member.send_line("/ping 1 2  3");
    member.expect_line("* pong 1 2  3");
    member.send_line("/ping");
    member.expect_line("* pong");
}

TEST_CASE("lines that come together are answered in order") {
    const ServerProcess server({.app = "chat"});
    Member member(server.address(), "alice");
    std::string requests;
    std::string answers;
    for (int number = 0; number < 500; ++number) {
        requests += "/ping " + std::to_string(number) + "\n";
        answers += "* pong " + std::to_string(number) + "\n";
    }
    member.send_while_receiving(requests);
    member.expect(answers);
}

TEST_CASE("a line may come byte by byte") {
    const ServerProcess server({.app = "chat"});
    Client client(server.address());
    for (const char byte : std::string("/ping slow\n")) client.send({&byte, 1});
    client.expect_line_with("* welcome");
    client.expect_line("* pong slow");
}

TEST_CASE("a line may end with CRLF, and the CR is no part of it") {
    const ServerProcess server({.app = "chat"});
    Member member(server.address(), "alice");
    member.send("/ping dos\r\n/ping unix\n");
    member.expect_line("* pong dos");
    member.expect_line("* pong unix");
}

TEST_CASE("the last line counts even without its end, and is answered before the close") {
    const ServerProcess server({.app = "chat"});
    Member member(server.address(), "alice");
    member.send("/ping one\n/ping two");
    member.half_close();
    member.expect_line("* pong one");
    member.expect_line("* pong two");
    CHECK(member.rest().ending == Ending::end_of_stream);
}

TEST_CASE("what one says does not come back") {
    const ServerProcess server({.app = "chat"});
    Member member(server.address(), "alice");
    member.say("hello");
    member.say("//slash");
    member.expect_silence_until("1");
}

TEST_CASE("an unknown command is an error that names it, and nothing more") {
    const ServerProcess server({.app = "chat"});
    Member member(server.address(), "alice");
    CHECK(member.expect_refusal("/frobnicate now").contains("frobnicate"));
    member.expect_refusal("/");
}

TEST_CASE("every command of the contract is named by /help") {
    const ServerProcess server({.app = "chat"});
    Member member(server.address(), "alice");
    const std::vector<std::string> help = member.ask("/help");
    for (const char* command : {"/nick", "/join", "/part", "/msg", "/me", "/who", "/rooms", "/history",
                                "/topic", "/ping", "/help", "/quit"}) {
        CAPTURE(command);
        CHECK(any_holds(help, command));
    }
    for (const std::string& line : help) CHECK(line.starts_with("* "));
}

TEST_CASE("commands without what they need are refused") {
    const ServerProcess server({.app = "chat"});
    Member member(server.address(), "alice");
    for (const char* line : {"/nick", "/join", "/msg", "/msg bob", "/me", "/nick two words"}) {
        CAPTURE(line);
        member.expect_refusal(line);
    }
}

TEST_CASE("a nick can be taken, is shown by /who, and can be taken again by oneself") {
    const ServerProcess server({.app = "chat"});
    Member member(server.address(), "alice");
    CHECK(any_holds(member.ask("/who"), "alice"));
    member.ask("/nick carol");
    const std::vector<std::string> who = member.ask("/who");
    CHECK(any_holds(who, "carol"));
    CHECK(!any_holds(who, "alice"));
    CHECK(!any_holds(who, "guest-"));
}

TEST_CASE("nicks that could be mistaken for something else are refused") {
    const ServerProcess server({.app = "chat"});
    Member member(server.address(), "alice");
    for (const std::string& nick : {std::string("*"), std::string("a]b"), std::string("a:b"),
                                    std::string("/a"), std::string(1000, 'n')}) {
        CAPTURE(nick);
        member.expect_refusal("/nick " + nick);
    }
    CHECK(any_holds(member.ask("/who"), "alice"));
}

TEST_CASE("/join makes a room, /rooms lists it, /part leaves it") {
    const ServerProcess server({.app = "chat"});
    Member member(server.address(), "alice");
    CHECK(any_holds(member.ask("/rooms"), "lobby"));
    member.join("tea");
    CHECK(any_holds(member.ask("/rooms"), "tea"));
    CHECK(any_holds(member.ask("/who tea"), "alice"));
    for (const std::string& line : member.ask("/part tea")) CHECK(line.starts_with("* "));
    const std::vector<std::string> who = member.ask("/who tea");
    CHECK(!any_holds(who, "alice"));
}

TEST_CASE("a room that one is not in cannot be left") {
    const ServerProcess server({.app = "chat"});
    Member member(server.address(), "alice");
    member.expect_refusal("/part nowhere");
}

TEST_CASE("/msg to a nick that nobody has is refused") {
    const ServerProcess server({.app = "chat"});
    Member member(server.address(), "alice");
    CHECK(member.expect_refusal("/msg nobody hello").contains("nobody"));
}

TEST_CASE("/history shows what was said, in order, as it was shown to others") {
    const ServerProcess server({.app = "chat"});
    Member member(server.address(), "alice");
    for (const char* text : {"one", "two", "three"}) member.say(text);
    const std::vector<std::string> history = member.ask("/history 2");
    std::vector<std::string> said;
    for (const std::string& line : history) {
        if (line.contains("alice: ")) said.push_back(line.substr(line.find("alice: ")));
    }
    CHECK(said == std::vector<std::string>{"alice: two", "alice: three"});
}

TEST_CASE("/topic tells the topic that /topic TEXT set") {
    const ServerProcess server({.app = "chat"});
    Member member(server.address(), "alice");
    for (const std::string& line : member.ask("/topic")) CHECK(line.starts_with("* "));
    member.ask("/topic all about tea");
    CHECK(any_holds(member.ask("/topic"), "all about tea"));
}

TEST_CASE("/quit ends the connection") {
    const ServerProcess server({.app = "chat"});
    Member member(server.address(), "alice");
    member.send_line("/quit");
    CHECK(member.rest().ending == Ending::end_of_stream);
}

TEST_CASE("what is not UTF-8 text is refused, line by line, and the connection kept") {
    const ServerProcess server({.app = "chat"});
    Member member(server.address(), "alice");
    const std::string cases[] = {
        "\xff",                      // no byte of UTF-8
        "\x80",                      // a continuation of nothing
        "caf\xc3",                   // cut short
        "\xc0\xaf",                  // '/' in two bytes
        "\xe0\x80\xaf",              // '/' in three
        "\xed\xa0\x80",              // half a surrogate pair
        "\xf4\x90\x80\x80",          // beyond U+10FFFF
        std::string("nul\0nul", 7),  // control bytes
        "bell\a",
        "escape \x1b[31m",
        "delete \x7f",
        "carriage\rreturn",
        "c1 \xc2\x9b",  // a control character, in two bytes
    };
    for (const std::string& line : cases) {
        CAPTURE(line);
        member.expect_refusal(line);
    }
    CHECK(!any_holds(member.ask("/history"), "cut"));
}

TEST_CASE("a line as long as allowed is taken, and one byte more is refused but keeps the connection") {
    const ServerProcess server({.app = "chat", .flags = {"--max-line", "100"}});
    Member member(server.address(), "alice");
    const std::string ping = "/ping ";
    const std::string longest(100 - ping.size(), 'x');
    member.send_line(ping + longest);
    member.expect_line("* pong " + longest);
    member.send_line(ping + longest + 'x');
    member.expect_line_with("! ", {"100"});
    member.expect_silence_until("1");
}

TEST_CASE("the end of a line does not count towards its length, be it LF or CRLF") {
    const ServerProcess server({.app = "chat", .flags = {"--max-line", "100"}});
    Member member(server.address(), "alice");
    const std::string ping = "/ping ";
    const std::string longest(100 - ping.size(), 'x');
    member.send(ping + longest + "\r\n");
    member.expect_line("* pong " + longest);
}

TEST_CASE("of a giant line nothing is kept, and one error is all it gets") {
    const ServerProcess server({.app = "chat"});
    Member member(server.address(), "alice");
    member.send(std::string(5'000'000, 'x') + "\n/ping after\n");
    member.expect_line_with("! ");
    member.expect_line("* pong after");
}

TEST_CASE("a giant line is refused before its end has come") {
    const ServerProcess server({.app = "chat", .flags = {"--max-line", "100"}});
    Member member(server.address(), "alice");
    member.send(std::string(1000, 'x'));
    member.expect_line_with("! ");
    member.send(std::string(1000, 'y') + "\n/ping after\n");
    member.expect_line("* pong after");
}

TEST_CASE("an empty line is nothing") {
    const ServerProcess server({.app = "chat"});
    Member member(server.address(), "alice");
    member.send("\n\r\n\n");
    member.expect_silence_until("1");
}

TEST_SUITE_END();

}  // namespace
}  // namespace confab::system_tests
