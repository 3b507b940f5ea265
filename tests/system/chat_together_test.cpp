// The line protocol among members: what each says, and what the others see of it.
#include <doctest/doctest.h>

#include <algorithm>
#include <deque>
#include <thread>

#include "tests/system/member.hpp"
#include "tests/system/server_process.hpp"

namespace confab::system_tests {
namespace {

bool any_holds(const std::vector<std::string>& lines, std::string_view piece) {
    return std::ranges::any_of(lines, [piece](const std::string& line) { return line.contains(piece); });
}

TEST_SUITE_BEGIN(needs::chat_with_several_clients);

TEST_CASE("guests have different names") {
    const ServerProcess server({.app = "chat"});
    std::vector<std::string> welcomes;
    std::deque<Client> clients;
    for (int number = 0; number < 8; ++number) {
        clients.emplace_back(server.address());
        clients.back().send_line("/ping now");
        const std::string welcome = clients.back().expect_line_with("* welcome", {"guest-"});
        const std::size_t start = welcome.find("guest-");
        const std::size_t end = welcome.find_first_not_of("0123456789", start + 6);
        welcomes.push_back(welcome.substr(start, end - start));
    }
    std::ranges::sort(welcomes);
    CHECK(std::ranges::adjacent_find(welcomes) == welcomes.end());
}

TEST_CASE("what one says, every other member of the room gets") {
    const ServerProcess server({.app = "chat"});
    Member alice(server.address(), "alice");
    Member bob(server.address(), "bob");
    Member carol(server.address(), "carol");
    settle({&alice, &bob, &carol});
    alice.say("hello, \xe4\xbd\xa0\xe5\xa5\xbd \xf0\x9f\x99\x82");
    bob.expect_line("[lobby] alice: hello, \xe4\xbd\xa0\xe5\xa5\xbd \xf0\x9f\x99\x82");
    carol.expect_line("[lobby] alice: hello, \xe4\xbd\xa0\xe5\xa5\xbd \xf0\x9f\x99\x82");
    // Had alice got her own line, it would come before bob's.
    bob.say("and to you");
    alice.expect_line("[lobby] bob: and to you");
    carol.expect_line("[lobby] bob: and to you");
}

TEST_CASE("two slashes say one") {
    const ServerProcess server({.app = "chat"});
    Member alice(server.address(), "alice");
    Member bob(server.address(), "bob");
    settle({&alice, &bob});
    alice.say("//quit is how to leave");
    bob.expect_line("[lobby] alice: /quit is how to leave");
    alice.expect_silence_until("1");
}

TEST_CASE("CRLF is no part of what is said") {
    const ServerProcess server({.app = "chat"});
    Member alice(server.address(), "alice");
    Member bob(server.address(), "bob");
    settle({&alice, &bob});
    alice.send("one\r\ntwo\n");
    bob.expect_line("[lobby] alice: one");
    bob.expect_line("[lobby] alice: two");
}

TEST_CASE("spaces inside and around what is said are passed on") {
    const ServerProcess server({.app = "chat"});
    Member alice(server.address(), "alice");
    Member bob(server.address(), "bob");
    settle({&alice, &bob});
    alice.say("  two  spaces");
    bob.expect_line("[lobby] alice:   two  spaces");
}

TEST_CASE("the last line is said even without its end") {
    const ServerProcess server({.app = "chat"});
    Member alice(server.address(), "alice");
    Member bob(server.address(), "bob");
    settle({&alice, &bob});
    alice.send("first\nlast words");
    alice.half_close();
    bob.expect_line("[lobby] alice: first");
    bob.expect_line("[lobby] alice: last words");
    bob.expect_line("* [lobby] alice left");
}

TEST_CASE("what is refused is never passed on") {
    const ServerProcess server({.app = "chat", .flags = {"--max-line", "100"}});
    Member alice(server.address(), "alice");
    Member bob(server.address(), "bob");
    settle({&alice, &bob});
    for (const std::string& line :
         {std::string("\xff bad"), std::string("nul\0 bad", 8), std::string("bell\a bad"),
          std::string(101, 'x'), std::string("/bad command")}) {
        alice.expect_refusal(line);
    }
    alice.say("good");
    bob.expect_line("[lobby] alice: good");
}

TEST_CASE("coming and going are announced to the room") {
    const ServerProcess server({.app = "chat"});
    Member alice(server.address(), "alice");
    Client guest(server.address());
    guest.send_line("/ping here");
    guest.lines_until("* pong here");
    alice.expect_line_with("* [lobby] guest-", {" joined"});
    guest.send_line("/nick bob");
    alice.expect_line_with("* [lobby] guest-", {" is now bob"});
    guest.send_line("/quit");
    alice.expect_line("* [lobby] bob left");
    alice.expect_silence_until("1");
}

TEST_CASE("a member whose connection is reset is announced as gone, and the nick is free") {
    const ServerProcess server({.app = "chat"});
    Member alice(server.address(), "alice");
    Member bob(server.address(), "bob");
    settle({&alice, &bob});
    bob.reset();
    alice.expect_line("* [lobby] bob left (connection lost)");
    CHECK(!any_holds(alice.ask("/who"), "bob"));
    Member other(server.address(), "bob");
    settle({&alice, &other});
}

TEST_CASE("a nick belongs to one member at a time") {
    const ServerProcess server({.app = "chat"});
    Member alice(server.address(), "alice");
    Member bob(server.address(), "bob");
    settle({&alice, &bob});
    CHECK(bob.expect_refusal("/nick alice").contains("alice"));
    bob.expect_refusal("/nick ALICE");  // people would not tell them apart
    bob.say("still bob");
    alice.expect_line("[lobby] bob: still bob");
    alice.send_line("/nick eve");
    bob.expect_line("* [lobby] alice is now eve");
    CHECK(!any_holds(bob.ask("/nick alice"), "! "));
    bob.say("now alice");
    alice.lines_until("[lobby] alice: now alice");
}

TEST_CASE("of many who want one nick at the same moment, one gets it") {
    const ServerProcess server({.app = "chat"});
    constexpr int count = 12;
    std::deque<Member> members;
    for (int number = 0; number < count; ++number) {
        members.emplace_back(server.address(), "member" + std::to_string(number));
    }
    for (Member& member : members) member.send_line("/nick same\n/ping decided");
    int refused = 0;
    for (Member& member : members) {
        for (const std::string& line : member.lines_until("* pong decided"))
            refused += line.starts_with("! ") ? 1 : 0;
    }
    CHECK(refused == count - 1);
}

TEST_CASE("rooms are apart: what is said in one is not heard in another") {
    const ServerProcess server({.app = "chat"});
    Member alice(server.address(), "alice");
    Member bob(server.address(), "bob");
    Member carol(server.address(), "carol");
    settle({&alice, &bob, &carol});
    bob.ask("/part lobby");
    bob.join("tea");
    alice.lines_until_pong("1");
    carol.join("tea");
    settle({&bob, &carol}, "tea");
    carol.say("milk?");
    bob.expect_line("[tea] carol: milk?");
    alice.say("anyone?");
    alice.send_line("/msg bob marker");
    bob.expect_line("[alice -> you] marker");
}

TEST_CASE("joining and leaving a room are announced to that room") {
    const ServerProcess server({.app = "chat"});
    Member alice(server.address(), "alice");
    Member bob(server.address(), "bob");
    settle({&alice, &bob});
    alice.join("tea");
    bob.join("tea");
    alice.expect_line("* [tea] bob joined");
    bob.send_line("/part tea");
    alice.expect_line("* [tea] bob left");
    // Bob has left tea, so what alice says there is not for him; what she tells him afterwards is.
    alice.say("gone");
    alice.send_line("/msg bob marker");
    const std::vector<std::string> heard = bob.lines_until("[alice -> you] marker");
    CHECK(!any_holds(heard, "gone"));
}

TEST_CASE("/msg reaches one member and nobody else") {
    const ServerProcess server({.app = "chat"});
    Member alice(server.address(), "alice");
    Member bob(server.address(), "bob");
    Member carol(server.address(), "carol");
    settle({&alice, &bob, &carol});
    alice.send_line("/msg bob for you only");
    bob.expect_line("[alice -> you] for you only");
    alice.say("for all");
    carol.expect_line("[lobby] alice: for all");
    bob.expect_line("[lobby] alice: for all");
}

TEST_CASE("/msg crosses rooms") {
    const ServerProcess server({.app = "chat"});
    Member alice(server.address(), "alice");
    Member bob(server.address(), "bob");
    settle({&alice, &bob});
    bob.ask("/part lobby");
    bob.join("tea");
    alice.send_line("/msg bob over there?");
    bob.expect_line("[alice -> you] over there?");
    bob.send_line("/msg alice over here");
    alice.lines_until("[bob -> you] over here");
}

TEST_CASE("/me is told to the others") {
    const ServerProcess server({.app = "chat"});
    Member alice(server.address(), "alice");
    Member bob(server.address(), "bob");
    settle({&alice, &bob});
    alice.send_line("/me waves at everyone");
    bob.expect_line("[lobby] * alice waves at everyone");
    bob.say("marker");
    alice.lines_until("[lobby] bob: marker");
}

TEST_CASE("/who names everyone in the room, wherever their connection is served") {
    const ServerProcess server({.app = "chat"});
    std::deque<Member> members;
    for (int number = 0; number < 10; ++number)
        members.emplace_back(server.address(), "w" + std::to_string(number) + "x");
    for (Member& member : members) {
        const std::vector<std::string> who = member.ask("/who");
        for (const Member& other : members) CHECK(any_holds(who, other.nick()));
    }
}

TEST_CASE("a topic that one sets, the others are told and can ask for") {
    const ServerProcess server({.app = "chat"});
    Member alice(server.address(), "alice");
    Member bob(server.address(), "bob");
    settle({&alice, &bob});
    alice.send_line("/topic tea and biscuits");
    bob.expect_line("* [lobby] alice set the topic: tea and biscuits");
    CHECK(any_holds(bob.ask("/topic"), "tea and biscuits"));
}

TEST_CASE("who comes later can read what was said before") {
    const ServerProcess server({.app = "chat"});
    {
        Member alice(server.address(), "alice");
        alice.say("early words");
        alice.send_line("/quit");
        CHECK(alice.rest().ending == Ending::end_of_stream);
    }
    Member bob(server.address(), "bob");
    CHECK(any_holds(bob.ask("/history"), "alice: early words"));
}

// Publishers that speak at the same time, each on a thread of its own.
void speak_all_at_once(std::deque<Member>& publishers, int messages) {
    std::vector<std::thread> threads;
    for (Member& publisher : publishers) {
        threads.emplace_back([&publisher, messages] {
            for (int number = 0; number < messages; ++number) {
                const std::string line = publisher.nick() + " says " + std::to_string(number) + "\n";
                // Small enough for the kernel's buffers, all of it together.
                if (publisher.send_what_fits(line) != line.size()) return;
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
}

std::vector<std::string> hear(Client& listener, std::size_t count) {
    std::vector<std::string> heard;
    while (heard.size() < count) heard.push_back(listener.line());
    return heard;
}

std::vector<std::string> without(std::vector<std::string> lines, const std::string& nick) {
    std::erase_if(lines, [&](const std::string& line) { return line.starts_with("[lobby] " + nick + ": "); });
    return lines;
}

TEST_CASE(
    "every member sees one order of what many say at the same time, with nothing lost and nothing twice") {
    const ServerProcess server({.app = "chat"});
    constexpr int messages = 200;
    constexpr std::size_t count = 6;
    Member first(server.address(), "first");
    std::deque<Member> publishers;
    for (std::size_t number = 0; number < count; ++number) {
        publishers.emplace_back(server.address(), "p" + std::to_string(number));
    }
    Member last(server.address(), "last");
    settle({&first, &publishers[0], &publishers[1], &publishers[2], &publishers[3], &publishers[4],
            &publishers[5], &last});

    speak_all_at_once(publishers, messages);

    const std::vector<std::string> order = hear(first, count * messages);
    CHECK(hear(last, count * messages) == order);
    for (Member& publisher : publishers) {
        CHECK(hear(publisher, (count - 1) * messages) == without(order, publisher.nick()));
        std::vector<std::string> own;
        for (int number = 0; number < messages; ++number) {
            own.push_back("[lobby] " + publisher.nick() + ": " + publisher.nick() + " says " +
                          std::to_string(number));
        }
        std::vector<std::string> seen;
        std::ranges::copy_if(order, std::back_inserter(seen), [&](const std::string& line) {
            return line.starts_with("[lobby] " + publisher.nick() + ": ");
        });
        CHECK(seen == own);
    }
    first.expect_silence_until("1");
}

TEST_CASE("history has the order that the members saw") {
    const ServerProcess server({.app = "chat"});
    Member first(server.address(), "first");
    std::deque<Member> publishers;
    for (int number = 0; number < 3; ++number)
        publishers.emplace_back(server.address(), "p" + std::to_string(number));
    settle({&first, &publishers[0], &publishers[1], &publishers[2]});
    speak_all_at_once(publishers, 10);
    std::vector<std::string> order = hear(first, 30);
    std::vector<std::string> history;
    for (const std::string& line : first.ask("/history 30")) {
        if (const std::size_t at = line.find(" says "); at != std::string::npos)
            history.push_back(line.substr(at));
    }
    for (std::string& line : order) line.erase(0, line.find(" says "));
    CHECK(history == order);
}

TEST_SUITE_END();

}  // namespace
}  // namespace confab::system_tests
