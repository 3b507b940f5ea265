#include "server/chat/hub.hpp"

#include <doctest/doctest.h>

#include <random>

#include "tests/server/chat/chat_world.hpp"

namespace confab::chat {
namespace {

using Next = LineConversation::Next;

struct TwoSites {
    explicit TwoSites(const Limits& limits = {}) : chat(limits, 35), here(chat), there(chat) {}
    void settle() { Person::settle({&here, &there}); }

    WholeChat chat;
    Site here;
    Site there;
};

std::vector<std::string> lines_of(const std::string& heard, std::string_view prefix) {
    std::vector<std::string> lines;
    for (std::size_t begin = 0; begin < heard.size();) {
        const std::size_t end = heard.find('\n', begin);
        std::string line = heard.substr(begin, end - begin);
        if (line.starts_with(prefix)) lines.push_back(std::move(line));
        begin = end + 1;
    }
    return lines;
}

}  // namespace

TEST_CASE("members on different reactors share rooms, nicks, who, history and private messages") {
    TwoSites world;
    Person anna(world.here, "anna");
    Person bert(world.there, "bert");
    world.settle();
    anna.hear();
    bert.hear();
    anna.type("hello\n/msg bert psst");
    world.settle();
    CHECK(bert.hear() == "[lobby] anna: hello\n[anna -> you] psst\n");
    bert.type("/nick anna\n/who\n/history");
    CHECK(bert.hear() ==
          "! the nick anna is taken\n* [lobby] 2 members: bert anna\n"
          "* [lobby] history: 1 message\n* [lobby] z/1 anna: hello\n* [lobby] end of history at z/1\n");
    anna.type("/quit");
    world.settle();
    CHECK(bert.hear() == "* [lobby] anna left\n");
}

TEST_CASE("where a courier was is a reader by now: who asks for the courier disturbs nobody") {
    TwoSites world;
    Person anna(world.here, "anna");
    Person bert(world.there, "bert");
    const MemberId id = anna.member().session().id;
    const Slot slot = 0;  // of the first reader, and so anna's
    world.chat.chat.abandon(id, slot, Instant());
    Site third(world.chat);
    CHECK(world.chat.chat.who("lobby", 10)->members == 2);
    world.settle();
    anna.hear();
    bert.type("hello");
    world.settle();
    CHECK(anna.hear() == "[lobby] bert: hello\n");
}

TEST_CASE(
    "who joins hears everything from then on, and nothing from before, though his reactor had not read it") {
    TwoSites world;
    Person anna(world.here, "anna");
    Person bert(world.there, "bert");
    anna.type("/join tea\nbefore");
    bert.hear();
    bert.type("/join tea");
    anna.type("after");
    world.settle();
    CHECK(lines_of(bert.hear(), "[tea]") == std::vector<std::string>{"[tea] anna: after"});
}

TEST_CASE("who parts hears what was said before he did, though his reactor had not read it") {
    TwoSites world;
    Person anna(world.here, "anna");
    Person bert(world.there, "bert");
    world.settle();
    bert.hear();
    anna.type("before");
    bert.type("/part");
    anna.type("after");
    world.settle();
    CHECK(bert.hear() == "[lobby] anna: before\n* you left lobby and are in no room: /join one\n");
}

TEST_CASE("a member of several rooms hears them, and private messages, in the order they were sent") {
    TwoSites world;
    Person anna(world.here, "anna");
    Person bert(world.there, "bert");
    Person carl(world.there, "carl");  // in one room only
    anna.type("/join a\n/join b");
    bert.type("/join a\n/join b");
    world.settle();
    bert.hear();
    carl.hear();
    std::string expected;
    std::string script;
    for (int i = 0; i < 20; ++i) {
        const std::string number = std::to_string(i);
        for (const std::string room : {"a", "b", "lobby"}) {
            script.append("/join ").append(room).append("\n").append(number);
            script.append("\n/msg bert ").append(number).append("\n");
            expected.append("[").append(room).append("] anna: ").append(number);
            expected.append("\n[anna -> you] ").append(number).append("\n");
        }
    }
    anna.type(script);
    world.settle();
    CHECK(bert.hear() == expected);
    CHECK(lines_of(carl.hear(), "[lobby]").size() == 20);
}

TEST_CASE("a batch reaches each member once, less his own lines, in one order") {
    TwoSites world;
    std::vector<std::unique_ptr<Person>> people;
    for (int i = 0; i < 6; ++i) people.push_back(std::make_unique<Person>(i % 2 ? world.here : world.there));
    world.settle();
    for (const auto& person : people) person->hear();
    std::vector<std::string> said;
    for (int i = 0; i < 300; ++i) {
        Person& person = *people[static_cast<std::size_t>(i) * 7 % people.size()];
        person.type(std::to_string(i));
        said.push_back("[lobby] " + std::string(person.member().session().nick.view()) + ": " +
                       std::to_string(i) + "\n");
    }
    world.settle();
    for (const auto& person : people) {
        std::string expected;
        const std::string mine = "[lobby] " + std::string(person->member().session().nick.view()) + ":";
        for (const std::string& line : said) {
            if (!line.starts_with(mine)) expected += line;
        }
        CHECK(person->hear() == expected);
    }
}

TEST_CASE("a member who does not read is told so and dropped, and nobody else notices anything") {
    TwoSites world({.line_length = 4096, .bytes_queued = 64 * 1024});
    Person anna(world.here, "anna");
    Person bert(world.here, "bert");
    Person slow(world.here, "slow");
    world.settle();
    anna.hear();
    bert.hear();
    slow.hear();
    const std::string line(4000, 'x');
    std::size_t bert_heard = 0;
    int said = 0;
    for (; !slow.was_dropped() && said < 1000; ++said) {
        anna.type(line);
        bert_heard += lines_of(bert.hear(), "[lobby]").size();
    }
    CHECK(slow.was_dropped());
    CHECK(slow.outbox().size() <= 64 * 1024 + 4096);
    CHECK(slow.member().ended() == Reason::too_slow);
    CHECK(world.here.hub.counters().dropped_too_slow.value() == 1);
    world.settle();
    const std::string rest = bert.hear();
    bert_heard += lines_of(rest, "[lobby]").size();
    CHECK(bert_heard == static_cast<std::size_t>(said));
    CHECK(rest.ends_with("* [lobby] slow left (too slow)\n"));
    CHECK(anna.hear().ends_with("* [lobby] slow left (too slow)\n"));
    // When he reads after all, he hears all he is owed, and why he was dropped.
    std::string heard;
    for (int i = 0; i < 100; ++i) {
        heard += slow.hear();
        world.settle();
    }
    CHECK(heard.ends_with("! you read too slowly: goodbye\n"));
    CHECK(slow.type("still here?") == Next::end);
}

TEST_CASE("who asks for much and reads little is answered at his pace, and not dropped") {
    TwoSites world({.bytes_queued = 256 * 1024, .history_length = 1000});
    Person anna(world.here, "anna");
    for (int i = 0; i < 200; ++i) anna.type(std::string(200, 'x'));
    world.settle();
    anna.hear();
    std::string script;
    for (int i = 0; i < 40; ++i) script += "/history 1000\n";
    Next next = anna.type(script);
    CHECK(next == Next::await_reader);
    std::string heard;
    while (next == Next::await_reader) {
        CHECK(anna.outbox().size() < 256 * 1024);
        heard += anna.hear();
        world.settle();
        next = anna.go_on();
    }
    world.settle();
    heard += anna.hear();
    CHECK(next == Next::receive);
    CHECK_FALSE(anna.was_dropped());
    CHECK(lines_of(heard, "* [lobby] end of history").size() == 40);
}

TEST_CASE("a publisher waits for a reactor that is behind, and goes on when it has caught up") {
    TwoSites world({.line_length = 256, .bus_bytes = 16 * 1024});
    Person anna(world.here, "anna");
    Person bert(world.there, "bert");
    world.settle();
    bert.hear();
    std::string script;
    for (int i = 0; i < 1000; ++i) script += std::to_string(i) + "\n";
    Next next = anna.type(script);
    CHECK(next == Next::await_room);
    std::string heard;
    int waits = 0;
    for (; next == Next::await_room; ++waits) {
        world.settle();
        heard += bert.hear();
        next = anna.go_on();
    }
    world.settle();
    heard += bert.hear();
    CHECK(waits > 3);
    const std::vector<std::string> lines = lines_of(heard, "[lobby]");
    REQUIRE(lines.size() == 1000);
    for (int i = 0; i < 1000; ++i)
        CHECK(lines[static_cast<std::size_t>(i)] == "[lobby] anna: " + std::to_string(i));
}

TEST_CASE("a reactor that stays behind skips ahead, and its members are told how much they missed") {
    TwoSites world(
        {.line_length = 256, .bus_bytes = 16 * 1024, .publisher_patience = std::chrono::nanoseconds(1)});
    Person anna(world.here, "anna");
    Person bert(world.there, "bert");
    Person carl(world.there, "carl");
    carl.type("/join tea\n/part lobby");
    world.settle();
    bert.hear();
    carl.hear();
    anna.type("first");
    world.settle();
    std::string script;
    for (int i = 0; i < 300; ++i) script += "x\n/msg carl y\n";
    Next next = anna.type(script);
    while (next == Next::await_room) {  // one reactor reads, the other does not
        world.here.run([&] { static_cast<void>(world.here.hub.room()); });
        for (int i = 0; i < 10; ++i) world.here.reactor.turn();
        next = anna.go_on();
    }
    world.settle();
    anna.type("last");
    world.settle();
    CHECK(
        bert.hear() ==
        "[lobby] anna: first\n! missed 300 messages in lobby: the server fell behind\n[lobby] anna: last\n");
    CHECK(carl.hear() ==
          "! missed who came and went in tea: the server fell behind\n"
          "! missed 300 private messages: the server fell behind\n");
    CHECK(world.there.hub.counters().overruns.value() >= 1);
}

TEST_CASE("a drain tells everyone, announces nobody, and leaves no member behind") {
    TwoSites world;
    Person anna(world.here, "anna");
    Person bert(world.there, "bert");
    world.settle();
    anna.hear();
    bert.hear();
    world.here.run([&] { world.here.hub.drain(); });
    world.settle();
    CHECK(anna.hear() == "* server is going down: goodbye\n");
    CHECK(anna.was_dropped());
    CHECK(world.here.hub.size() == 0);
    CHECK(bert.hear().empty());
}

TEST_CASE("rooms cost nothing once nobody is in them, however often people come and go") {
    TwoSites world;
    std::vector<std::unique_ptr<Person>> people;
    std::mt19937 random(5);
    for (int i = 0; i < 10; ++i) people.push_back(std::make_unique<Person>(i % 2 ? world.here : world.there));
    for (int round = 0; round < 500; ++round) {
        Person& person = *people[random() % people.size()];
        const std::string room = "r" + std::to_string(random() % 5);
        switch (random() % 4) {
            case 0:
                person.type("/join " + room);
                break;
            case 1:
                person.type("/part " + room);
                break;
            case 2:
                person.type("/msg guest-" + std::to_string(1 + random() % 10) + " x");
                break;
            default:
                person.type("hello");
                break;
        }
        if (random() % 8 == 0) world.settle();
        if (random() % 40 == 0) {
            const std::size_t one = random() % people.size();
            people[one].reset();
            people[one] = std::make_unique<Person>(one % 2 ? world.here : world.there);
        }
        for (const auto& each : people) each->hear();
    }
    people.clear();
    world.settle();
    CHECK(world.here.hub.size() + world.there.hub.size() == 0);
    CHECK(world.chat.chat.rooms(1).all == 0);
}

}  // namespace confab::chat
