#include "server/chat/directory.hpp"

#include <doctest/doctest.h>

#include <map>
#include <random>
#include <string>

#include "server/chat/chat_memory.hpp"
#include "server/chat/chat_memory_parts.hpp"

namespace confab::chat {
namespace {

using namespace std::chrono_literals;

// A directory, with one reader.
struct World {
    static Limits small() {
        Limits limits;
        limits.rooms = 100;
        limits.history_bytes_in_all = 1 << 20;
        limits.members = 1000;
        return limits;
    }
    explicit World(const Limits& limits = small())
        : memory(limits, 1),
          journal(memory.parts().head.journal),
          directory(memory.parts().directory, journal, limits.empty_room_kept) {
        directory.add_reader(reader);
    }
    MemberId member() {
        const MemberId added = directory.add_member(reader);
        journal.commit();
        return added;
    }
    RoomId room(std::string_view name, Instant now = Instant()) {
        return directory.open_room(Name(name), now);
    }
    void say(const Entry& entry, const History::Bounds& bounds = {.messages = 1000, .bytes = 64 * 1024}) {
        directory.make_room_for(entry);
        directory.remember(entry, bounds);
        journal.commit();
    }

    ChatMemory memory;
    Journal journal;
    Directory directory;
    const Slot reader = 0;
};

std::size_t count_records(const std::vector<std::byte>& bytes) {
    std::size_t count = 0;
    for (std::span<const std::byte> records = bytes; !records.empty(); ++count) take_record(records);
    return count;
}

// Some blocks of history.
struct Blocks {
    explicit Blocks(std::size_t count) : memory(count) {}
    std::vector<HistoryBlock> memory;
    Pool<HistoryBlock>::Head head{};
    Journal::Memory journal_memory{};
    Journal journal{journal_memory};
    History history{memory, head, journal};
};

}  // namespace

TEST_CASE("an index of names finds what a map finds, through any insertions and erasures") {
    World world;
    std::mt19937 random(3);
    std::map<std::string, MemberId> expected;
    std::vector<MemberId> nameless;
    for (int i = 0; i < 300; ++i) nameless.push_back(world.member());
    for (int round = 0; round < 50'000; ++round) {
        const std::string name = "n" + std::to_string(random() % 300);
        const auto known = expected.find(name);
        const MemberId found = world.directory.find_member(name);
        REQUIRE(found == (known == expected.end() ? MemberId{} : known->second));
        if (known == expected.end()) {
            const std::size_t pick = random() % nameless.size();
            REQUIRE(world.directory.rename(nameless[pick], Name(name)));
            expected[name] = nameless[pick];
            nameless.erase(nameless.begin() + static_cast<std::ptrdiff_t>(pick));
        } else if (random() % 2 == 0) {
            REQUIRE(world.directory.rename(found, Name("x" + std::to_string(found.slot))));
            nameless.push_back(found);
            expected.erase(known);
        }
        world.journal.commit();
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
    const auto readers_in = [&](RoomId room) {
        std::vector<Slot> readers;
        directory.for_readers_in(room, [&](Slot reader) { readers.push_back(reader); });
        return readers;
    };
    CHECK(readers_in(tea) == std::vector<Slot>{world.reader});
    directory.stand_up(members[1], tea, Instant());
    CHECK_FALSE(directory.sits_in(members[1], tea));
    CHECK(directory.rooms_of(members[1]) == std::vector<RoomId>{Directory::lobby});
    CHECK(directory.nicks_in(tea, 10).size() == 2);
    CHECK(directory.nicks_in(tea, 1).size() == 1);
    directory.stand_up(members[0], tea, Instant());
    directory.stand_up(members[2], tea, Instant());
    CHECK(directory.room(tea).members == 0);
    CHECK(readers_in(tea).empty());
    CHECK(directory.nicks_in(tea, 10).empty());
    CHECK(directory.find_room("tea") == tea);
    directory.sit_down(members[0], tea);
    CHECK(directory.nicks_in(tea, 10).size() == 1);
}

TEST_CASE("the room that has been empty longest is forgotten when there are too many") {
    Limits limits = World::small();
    limits.rooms = 4;
    World world(limits);
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
    Limits limits = World::small();
    limits.history_bytes_in_all = 8 * 1024;
    World world(limits);
    Directory& directory = world.directory;
    const RoomId idle = world.room("idle");
    const RoomId busy = world.room("busy");
    directory.sit_down(world.member(), busy);
    const std::string text(500, 'x');
    world.say({.room = idle, .nick = "anna", .text = text});
    for (int i = 0; i < 100; ++i) world.say({.room = busy, .nick = "anna", .text = text});
    CHECK(directory.find_room("idle") == no_room);
    const RoomHistory& history = directory.room(busy).history;
    CHECK(History::bytes(history) <= limits.history_bytes_in_all);
    CHECK(history.messages > 5);
    CHECK(count_records(directory.recall(busy, 1000)) == history.messages);
}

TEST_CASE("history keeps the newest messages in order, in a bounded number of bytes") {
    Blocks blocks(100);
    RoomHistory room{};
    std::vector<std::string> texts;
    std::mt19937 random(11);
    for (std::uint64_t seq = 1; seq <= 3000; ++seq) {
        texts.emplace_back(random() % (seq % 50 == 0 ? 3000 : 300), static_cast<char>('a' + seq % 26));
        blocks.history.add(room, {.position = {.epoch = 1, .seq = seq}, .nick = "n", .text = texts.back()},
                           {.messages = 40, .bytes = 8 * 1024});
        blocks.journal.commit();
        REQUIRE(room.messages <= 40);
        REQUIRE(room.blocks == blocks.head.taken);
        REQUIRE(History::bytes(room) <= 8 * 1024);
        const std::vector<std::byte> bytes = blocks.history.last(room, 10);
        std::span<const std::byte> records = bytes;
        for (std::uint64_t expected = seq - std::min<std::uint64_t>({seq, 10, room.messages}) + 1;
             expected <= seq; ++expected) {
            const Entry entry = take_record(records);
            REQUIRE(entry.position.seq == expected);
            REQUIRE(entry.text == texts[expected - 1]);
        }
        REQUIRE(records.empty());
    }
    CHECK(room.messages > 10);
    blocks.history.clear(room);
    CHECK(blocks.head.taken == 0);
}

TEST_CASE("no history is kept when none is wanted, and a message larger than all of it is not kept") {
    Blocks blocks(100);
    RoomHistory room{};
    blocks.history.add(room, {.text = "x"}, {.messages = 0, .bytes = 1024});
    CHECK(room.messages == 0);
    CHECK(room.blocks == 0);
    blocks.history.add(room, {.text = "x"}, {.messages = 10, .bytes = 1024});
    blocks.history.add(room, {.text = std::string(2000, 'x')}, {.messages = 10, .bytes = 1024});
    CHECK(room.messages == 1);
}

}  // namespace confab::chat
