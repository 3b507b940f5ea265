#include "server/chat/directory.hpp"

#include <doctest/doctest.h>

#include <map>
#include <random>
#include <string>

#include "reactor/reactor.hpp"

namespace confab::chat {
namespace {

using namespace std::chrono_literals;

struct World {
    explicit World(const Directory::Bounds& bounds = {.rooms = 100,
                                                      .history_bytes = 1 << 20,
                                                      .empty_room_kept = 1h})
        : directory(bounds, 1) {}
    MemberId member() { return directory.add_member(reader); }
    RoomId room(std::string_view name, Instant now = Instant()) {
        return directory.open_room(Name(name), now);
    }

    Reactor reactor{ReactorOptions{}};
    Job job{[](Job&) noexcept {}};
    BusReader reader{reactor, job};
    Directory directory;
};

std::size_t remembered(const History& history) {
    std::size_t count = 0;
    const std::vector<std::byte> bytes = history.last(history.messages());
    for (std::span<const std::byte> records = bytes; !records.empty(); ++count) take_record(records);
    return count;
}

}  // namespace

TEST_CASE("an index of names finds what a map finds, through any insertions and erasures") {
    std::mt19937 random(3);
    std::map<std::string, std::uint32_t> expected;
    std::map<std::uint32_t, std::string> names;
    NameIndex index;
    const auto name_of = [&](std::uint32_t slot) { return std::string_view(names.at(slot)); };
    for (std::uint32_t round = 0; round < 50'000; ++round) {
        const std::string name = "n" + std::to_string(random() % 300);
        const auto known = expected.find(name);
        REQUIRE(index.find(name, name_of) == (known == expected.end() ? NameIndex::nobody : known->second));
        if (known == expected.end()) {
            expected[name] = round;
            names[round] = name;
            index.insert(name, round);
        } else if (random() % 2 == 0) {
            index.erase(name, known->second);
            names.erase(known->second);
            expected.erase(known);
        }
    }
}

TEST_CASE("a member's slot is used again, by somebody else") {
    World world;
    const MemberId first = world.member();
    world.directory.remove_member(first);
    const MemberId second = world.member();
    CHECK(second.slot == first.slot);
    CHECK(second != first);
    CHECK(world.directory.member(first) == nullptr);
    CHECK(world.directory.member(second) != nullptr);
    CHECK(world.directory.member({}) == nullptr);
    CHECK(world.directory.find_member("guest-2") == second);
    CHECK(world.directory.find_member("guest-1") == MemberId{});
}

TEST_CASE("seats link members and rooms both ways") {
    World world;
    Directory& directory = world.directory;
    const RoomId tea = world.room("tea");
    std::vector<MemberId> members;
    for (int i = 0; i < 3; ++i) members.push_back(world.member());
    for (const MemberId member : members) {
        directory.sit_down(member, tea);
        directory.sit_down(member, Directory::lobby);
    }
    CHECK(directory.room(tea).members == 3);
    REQUIRE(directory.room(tea).audiences.size() == 1);
    CHECK(directory.room(tea).audiences.front().members == 3);
    directory.stand_up(members[1], tea, Instant());
    CHECK_FALSE(directory.sits_in(members[1], tea));
    CHECK(directory.rooms_of(members[1]) == std::vector<RoomId>{Directory::lobby});
    CHECK(directory.nicks_in(tea, 10).size() == 2);
    CHECK(directory.nicks_in(tea, 1).size() == 1);
    directory.stand_up(members[0], tea, Instant());
    directory.stand_up(members[2], tea, Instant());
    CHECK(directory.room(tea).members == 0);
    CHECK(directory.room(tea).audiences.empty());
    CHECK(directory.nicks_in(tea, 10).empty());
    CHECK(directory.find_room("tea") == tea);
    directory.sit_down(members[0], tea);
    CHECK(directory.nicks_in(tea, 10).size() == 1);
}

TEST_CASE("the room that has been empty longest is forgotten when there are too many") {
    World world({.rooms = 4, .history_bytes = 1 << 20, .empty_room_kept = 1h});
    Directory& directory = world.directory;
    const MemberId member = world.member();
    const RoomId a = world.room("a");
    const RoomId b = world.room("b");
    const RoomId c = world.room("c");
    for (const RoomId room : {a, b, c}) directory.sit_down(member, room);
    CHECK(world.room("d") == no_room);
    directory.stand_up(member, b, Instant(1s));
    directory.stand_up(member, a, Instant(2s));
    directory.sit_down(member, b);
    directory.stand_up(member, b, Instant(3s));
    CHECK(world.room("d", Instant(4s)) != no_room);
    CHECK(directory.find_room("a") == no_room);
    CHECK(directory.find_room("b") == b);
    CHECK(directory.find_room("lobby") == Directory::lobby);
}

TEST_CASE("a room that has been empty for long is forgotten, and its name then has a later epoch") {
    World world;
    const RoomId tea = world.room("tea", Instant(0s));
    const std::uint64_t epoch = world.directory.room(tea).last.epoch;
    world.room("other", Instant(1h - 1s));
    CHECK(world.directory.find_room("tea") == tea);
    world.room("third", Instant(1h));
    CHECK(world.directory.find_room("tea") == no_room);
    CHECK(world.directory.room(world.room("tea", Instant(1h))).last.epoch > epoch);
}

TEST_CASE("history of all rooms together is bounded: empty rooms go, then a room's own oldest messages") {
    World world({.rooms = 100, .history_bytes = 8 * 1024, .empty_room_kept = 1h});
    Directory& directory = world.directory;
    const RoomId idle = world.room("idle");
    const RoomId busy = world.room("busy");
    directory.sit_down(world.member(), busy);
    const std::string text(500, 'x');
    const History::Bounds bounds{.messages = 1000, .bytes = 64 * 1024, .may_grow = true};
    const auto say = [&](RoomId room) {
        directory.remember({.room = room, .nick = "anna", .text = text}, bounds);
    };
    say(idle);
    for (int i = 0; i < 100; ++i) say(busy);
    CHECK(directory.find_room("idle") == no_room);
    const History& history = directory.room(busy).history;
    CHECK(history.memory() <= 16 * 1024);
    CHECK(history.messages() > 5);
    CHECK(remembered(history) == history.messages());
}

TEST_CASE("history keeps the newest messages in order, in a bounded number of bytes") {
    History history;
    std::vector<std::string> texts;
    std::mt19937 random(11);
    for (std::uint64_t seq = 1; seq <= 3000; ++seq) {
        texts.emplace_back(random() % 300, static_cast<char>('a' + seq % 26));
        history.add({.position = {.epoch = 1, .seq = seq}, .nick = "n", .text = texts.back()},
                    {.messages = 40, .bytes = 8 * 1024, .may_grow = true});
        REQUIRE(history.messages() <= 40);
        REQUIRE(history.memory() <= 8 * 1024);
        const std::vector<std::byte> bytes = history.last(10);
        std::span<const std::byte> records = bytes;
        for (std::uint64_t expected = seq - std::min<std::uint64_t>({seq, 10, history.messages()}) + 1;
             expected <= seq; ++expected) {
            const Entry entry = take_record(records);
            REQUIRE(entry.position.seq == expected);
            REQUIRE(entry.text == texts[expected - 1]);
        }
        REQUIRE(records.empty());
    }
    CHECK(history.messages() > 10);
}

TEST_CASE("no history is kept when none is wanted, and a message larger than all of it is not kept") {
    History history;
    history.add({.text = "x"}, {.messages = 0, .bytes = 1024, .may_grow = true});
    CHECK(history.messages() == 0);
    CHECK(history.memory() == 0);
    history.add({.text = "x"}, {.messages = 10, .bytes = 1024, .may_grow = true});
    history.add({.text = std::string(2000, 'x')}, {.messages = 10, .bytes = 1024, .may_grow = true});
    CHECK(history.messages() == 1);
}

}  // namespace confab::chat
