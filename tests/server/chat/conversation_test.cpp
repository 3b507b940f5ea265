#include <doctest/doctest.h>

#include "tests/server/chat/chat_world.hpp"

namespace confab::chat {
namespace {

constexpr std::uint64_t first_epoch = 35;  // "z", and "10" for the next room

struct World {
    explicit World(const Limits& limits = {}) : chat(limits, first_epoch), site(chat) {}
    WholeChat chat;
    Site site;
};

// What one person hears from one line.
std::string answer(Person& person, std::string_view line) {
    person.type(line);
    return person.hear();
}

}  // namespace

TEST_CASE("who comes in is a guest in the lobby, and gets one line that says so") {
    World world;
    Person one(world.site);
    Person other(world.site);
    CHECK(one.hear() ==
          "* welcome to confab, guest-1: you are in lobby with 1 member. /help lists the commands\n"
          "* [lobby] guest-2 joined\n");
    CHECK(other.hear() ==
          "* welcome to confab, guest-2: you are in lobby with 2 members. /help lists the commands\n");
}

TEST_CASE("what one says, every other member of the room hears, and nobody else") {
    World world;
    Person anna(world.site, "anna");
    Person bert(world.site, "bert");
    Person carl(world.site, "carl");
    carl.type("/join cpp\n/part lobby");
    for (Person* const person : {&anna, &bert, &carl}) person->hear();
    anna.type("hello\n\n/me waves\n//slash");
    CHECK(bert.hear() == "[lobby] anna: hello\n[lobby] * anna waves\n[lobby] anna: /slash\n");
    CHECK(anna.hear().empty());
    CHECK(carl.hear().empty());
}

TEST_CASE("nicks are unique whatever their case, and not a guest's") {
    World world;
    Person anna(world.site, "anna");
    Person bert(world.site, "bert");
    bert.hear();
    CHECK(answer(bert, "/nick Anna") == "! the nick Anna is taken\n");
    CHECK(answer(bert, "/nick guest-1") == "! guest-1 is the name of a guest: pick another one\n");
    CHECK(answer(bert, "/nick a b") ==
          "! no good as a nick: letters, digits, - _ and . only, and no spaces\n");
    CHECK(answer(bert, "/nick " + std::string(33, 'x')) == "! nick too long: 32 bytes at most\n");
    CHECK(answer(bert, "/nick") == "! which nick?\n");
    CHECK(answer(bert, "/nick bert") == "* you are bert\n");
    anna.hear();
    CHECK(answer(bert, "/nick Bert") == "* you are now Bert\n");
    CHECK(anna.hear() == "* [lobby] bert is now Bert\n");
    CHECK(answer(anna, "/nick carl") == "* you are now carl\n");
    CHECK(answer(bert, "/nick anna") == "* [lobby] anna is now carl\n* you are now anna\n");
}

TEST_CASE("the nick of one who left can be had") {
    World world;
    Person bert(world.site, "bert");
    {
        const Person anna(world.site, "anna");
    }
    bert.hear();
    CHECK(answer(bert, "/nick anna") == "* you are now anna\n");
}

TEST_CASE("joining announces, moves what one says, and shows the topic") {
    World world;
    Person anna(world.site, "anna");
    Person bert(world.site, "bert");
    anna.type("/join #Tea\n/topic green");
    anna.hear();
    bert.hear();
    CHECK(answer(bert, "/join tea") == "* you are in Tea with 2 members\n* [Tea] topic: green\n");
    CHECK(anna.hear() == "* [Tea] bert joined\n");
    bert.type("in tea\n/join lobby\nin lobby");
    CHECK(anna.hear() == "[Tea] bert: in tea\n[lobby] bert: in lobby\n");
    CHECK(bert.hear() == "* you are in lobby with 2 members\n");
    CHECK(answer(bert, "/join") == "! which room?\n");
    CHECK(answer(bert, "/join a:b") ==
          "! no good as a room: letters, digits, - _ and . only, and no spaces\n");
}

TEST_CASE("parting goes back to the room joined last, and in no room there is nobody to talk to") {
    World world;
    Person anna(world.site, "anna");
    Person bert(world.site, "bert");
    anna.type("/join a\n/join b");
    anna.hear();
    bert.hear();
    CHECK(answer(anna, "/part lobby") == "* you left lobby and are in b\n");
    CHECK(bert.hear() == "* [lobby] anna left\n");
    CHECK(answer(anna, "/part") == "* you left b and are in a\n");
    CHECK(answer(anna, "/part b") == "! you are not in b\n");
    CHECK(answer(anna, "/part") == "* you left a and are in no room: /join one\n");
    for (const std::string_view line :
         {"hello", "/me waves", "/who", "/topic", "/topic tea", "/history", "/part"}) {
        CHECK(answer(anna, line) == "! you are in no room: /join one first\n");
    }
    CHECK(answer(anna, "/join lobby") == "* you are in lobby with 2 members\n");
}

TEST_CASE("private messages reach one member, oneself included") {
    World world;
    Person anna(world.site, "anna");
    Person bert(world.site, "bert");
    bert.hear();
    anna.hear();
    anna.type("/msg BERT psst,  you");
    CHECK(bert.hear() == "[anna -> you] psst,  you\n");
    CHECK(anna.hear().empty());
    CHECK(answer(anna, "/msg anna note") == "[anna -> you] note\n");
    CHECK(answer(anna, "/msg nobody x") == "! there is nobody called nobody\n");
    CHECK(answer(anna, "/msg bert") == "! whom, and what? /msg NICK TEXT\n");
}

TEST_CASE("who and rooms list members and rooms") {
    World world;
    Person anna(world.site, "anna");
    Person bert(world.site, "bert");
    bert.type("/join cpp");
    anna.hear();
    CHECK(answer(anna, "/who") == "* [lobby] 2 members: bert anna\n");
    CHECK(answer(anna, "/who CPP") == "* [cpp] 1 member: bert\n");
    CHECK(answer(anna, "/who rust") == "! there is no room rust\n");
    CHECK(answer(anna, "/rooms") == "* 2 rooms\n* [lobby] 2 members\n* [cpp] 1 member\n");
    bert.type("/part");
    anna.hear();
    CHECK(answer(anna, "/rooms") == "* 1 room\n* [lobby] 2 members\n");
    CHECK(answer(anna, "/who cpp") == "! there is no room cpp\n");
}

TEST_CASE("a long list of who is here goes on in further lines") {
    World world;
    std::vector<std::unique_ptr<Person>> crowd;
    for (int i = 0; i < 100; ++i) crowd.push_back(std::make_unique<Person>(world.site));
    crowd.front()->hear();
    const std::string list = answer(*crowd.front(), "/who");
    CHECK(list.starts_with("* [lobby] 100 members: "));
    CHECK(list.contains("\n* [lobby] and guest-"));
    for (int i = 1; i <= 100; ++i) {
        const std::string nick = " guest-" + std::to_string(i);
        CHECK((list.contains(nick + " ") || list.contains(nick + "\n")));
    }
}

TEST_CASE("history numbers the messages of a room, and the numbers survive the members") {
    World world;
    Person bert(world.site, "bert");
    {
        Person anna(world.site, "anna");
        anna.type("/join tea\none\n/me two\n/topic three");
        CHECK(anna.hear().ends_with("* you set the topic: three\n"));
    }
    bert.hear();
    CHECK(answer(bert, "/history") == "* [lobby] history: 0 messages\n* [lobby] end of history at z/0\n");
    bert.type("/join tea\nfour");
    bert.hear();
    CHECK(answer(bert, "/history") ==
          "* [tea] history: 4 messages\n"
          "* [tea] 10/1 anna: one\n"
          "* [tea] 10/2 * anna two\n"
          "* [tea] 10/3 anna set the topic: three\n"
          "* [tea] 10/4 bert: four\n"
          "* [tea] end of history at 10/4\n");
    CHECK(answer(bert, "/history 1") ==
          "* [tea] history: 1 message\n* [tea] 10/4 bert: four\n* [tea] end of history at 10/4\n");
    CHECK(answer(bert, "/history 0") == "* [tea] history: 0 messages\n* [tea] end of history at 10/4\n");
    for (const std::string_view wrong :
         {"/history x", "/history -1", "/history 1 2", "/history 99999999999999999999"}) {
        CHECK(answer(bert, wrong) == "! how many? /history [N]\n");
    }
}

TEST_CASE("history keeps the newest messages within its bounds") {
    World world({.history_length = 3});
    Person anna(world.site, "anna");
    anna.type("1\n2\n3\n4\n5");
    CHECK(
        answer(anna, "/history 100") ==
        "* [lobby] history: 3 messages\n* [lobby] z/3 anna: 3\n* [lobby] z/4 anna: 4\n* [lobby] z/5 anna: 5\n"
        "* [lobby] end of history at z/5\n");
}

TEST_CASE("a forgotten room that is opened again has a new epoch") {
    World world({.rooms = 2});
    Person anna(world.site, "anna");
    anna.type("/join a\none\n/part\n/join b\ntwo\n/part\n/join a\nthree");
    anna.hear();
    CHECK(answer(anna, "/history") ==
          "* [a] history: 1 message\n* [a] 12/1 anna: three\n* [a] end of history at 12/1\n");
    CHECK(answer(anna, "/join b") == "! there are too many rooms: join one of them\n");
}

TEST_CASE("topics have a length, ping is answered, help lists everything, the rest is unknown") {
    World world;
    Person anna(world.site, "anna");
    CHECK(answer(anna, "/topic") == "* [lobby] has no topic\n");
    CHECK(answer(anna, "/topic " + std::string(401, 'x')) == "! topic too long: 400 bytes at most\n");
    CHECK(answer(anna, "/topic a b ") == "* you set the topic: a b\n");
    CHECK(answer(anna, "/topic") == "* [lobby] topic: a b\n");
    CHECK(answer(anna, "/ping") == "* pong\n");
    CHECK(answer(anna, "/ping 1  2 ") == "* pong 1  2 \n");
    CHECK(answer(anna, "/pingx") == "! there is no /pingx: /help lists the commands\n");
    CHECK(answer(anna, "/") == "! there is no /: /help lists the commands\n");
    const std::string help = answer(anna, "/help");
    for (const std::string_view command : {"/nick", "/join", "/part", "/msg", "/me", "/who", "/rooms",
                                           "/history", "/topic", "/ping", "/help", "/quit", "//"}) {
        CHECK(help.contains("* " + std::string(command)));
    }
}

TEST_CASE("what is no text is refused and not passed on") {
    World world;
    Person anna(world.site, "anna");
    Person bert(world.site, "bert");
    bert.hear();
    CHECK(answer(anna, "caf\xE9").ends_with("! that line is not UTF-8 and was dropped\n"));
    CHECK(answer(anna, std::string_view("a\0b", 3)) ==
          "! that line has control characters in it and was dropped\n");
    CHECK(answer(anna, "a\x1B[31m") == "! that line has control characters in it and was dropped\n");
    CHECK(answer(anna, "/me \x7F") == "! that line has control characters in it and was dropped\n");
    CHECK(answer(anna, "a\rb") == "! that line has control characters in it and was dropped\n");
    CHECK(answer(anna, "fine\r").empty());
    CHECK(bert.hear() == "[lobby] anna: fine\n");
}

TEST_CASE("a line that is too long is refused once, and the next one is heard") {
    World world({.line_length = 64});
    Person anna(world.site, "anna");
    Person bert(world.site, "bert");
    bert.hear();
    anna.hear();
    anna.type_bytes(std::string(60, 'x'));
    anna.type_bytes(std::string(60, 'x'));
    CHECK(anna.hear() == "! line too long: 64 bytes at most\n");
    anna.type_bytes(std::string(60, 'x'));
    anna.type_bytes("\n" + std::string(64, 'y') + "\r\n");
    CHECK(anna.hear().empty());
    CHECK(bert.hear() == "[lobby] anna: " + std::string(64, 'y') + "\n");
}

TEST_CASE("lines may come byte by byte, and the last one need not end") {
    World world;
    Person anna(world.site, "anna");
    Person bert(world.site, "bert");
    bert.hear();
    for (const char byte : std::string_view("hello\r\n/me waves\nbye")) anna.type_bytes({&byte, 1});
    CHECK(anna.end_input() == LineConversation::Next::end);
    CHECK(bert.hear() ==
          "[lobby] anna: hello\n[lobby] * anna waves\n[lobby] anna: bye\n* [lobby] anna left\n");
}

TEST_CASE("quitting says goodbye, and nothing after it counts") {
    World world;
    Person anna(world.site, "anna");
    Person bert(world.site, "bert");
    anna.hear();
    bert.hear();
    CHECK(anna.type("/quit\nhello") == LineConversation::Next::end);
    CHECK(anna.hear() == "* goodbye\n");
    CHECK(anna.member().ended() == Reason::quit);
    CHECK(bert.hear() == "* [lobby] anna left\n");
    CHECK(answer(bert, "/who") == "* [lobby] 1 member: bert\n");
}

TEST_CASE("more lines a second than allowed are refused, each aloud") {
    World world({.lines_per_second = 1, .lines_at_once = 3});
    Person anna(world.site);
    anna.hear();
    anna.type("/ping 1\n/ping 2\n/ping 3\n/ping 4\n/ping 5");
    CHECK(anna.hear() ==
          "* pong 1\n* pong 2\n* pong 3\n"
          "! too fast, that line was dropped: 1 lines a second at most\n"
          "! too fast, that line was dropped: 1 lines a second at most\n");
    CHECK(world.site.hub.counters().refused_lines.value() == 2);
}

TEST_CASE("a member is in so many rooms at most") {
    World world({.rooms_per_member = 2});
    Person anna(world.site);
    anna.type("/join a");
    anna.hear();
    CHECK(answer(anna, "/join b") == "! you are in 2 rooms already: /part one first\n");
    CHECK(answer(anna, "/join lobby") == "* you are in lobby with 1 member\n");
}

TEST_CASE("in a crowd, coming and going is not announced") {
    World world({.announced_members = 3});
    Person anna(world.site, "anna");
    {
        Person b(world.site);
        Person c(world.site);
        anna.hear();
        Person d(world.site);
        d.type("/nick dora\nhello");
        CHECK(anna.hear() == "[lobby] dora: hello\n");
    }
    CHECK(anna.hear() == "* [lobby] guest-3 left\n* [lobby] guest-2 left\n");
}

}  // namespace confab::chat
