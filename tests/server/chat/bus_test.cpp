#include "server/chat/bus.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "reactor/reactor.hpp"

namespace confab::chat {
namespace {

struct NewsJob : Job {
    NewsJob() : Job([](Job& job) noexcept { ++static_cast<NewsJob&>(job).runs; }) {}
    int runs = 0;
};

// A bus and the memory it lies in.
struct TestBus : Bus {
    explicit TestBus(std::size_t capacity) : TestBus(std::make_unique<Memory>(capacity)) {}

    void commit() { memory->journal.commit(); }
    void roll_back() {
        memory->journal.roll_back();
        rolled_back();
    }

  private:
    struct Memory {
        explicit Memory(std::size_t capacity) : ring(capacity), readers(16) {}
        BusMemory parts() { return {.head = head, .ring = ring, .readers = readers}; }
        BusMemory::Head head{};
        std::vector<std::byte> ring;
        std::vector<ReaderSlot> readers;
        Journal::Memory journal_memory{};
        Journal journal{journal_memory};
    };
    explicit TestBus(std::unique_ptr<Memory> owned)
        : Bus(owned->parts(), owned->journal, 0), memory(std::move(owned)) {}
    std::unique_ptr<Memory> memory;
};

// A reader whose reactor is this thread.
struct Listener {
    explicit Listener(Bus& joined) : bus(joined) { REQUIRE(bus.attach(reader)); }
    ~Listener() {
        bus.detach(reader);
        while (reader.news_posted()) take_news();
    }

    // How often it was woken since the last time.
    int take_news() {
        reactor.turn();
        const int runs = std::exchange(job.runs, 0);
        if (runs > 0) reader.take_news();
        return runs;
    }
    std::vector<std::string> read(std::size_t size = 64 * 1024) {
        std::vector<std::byte> batch(size);
        last = bus.read(reader, batch);
        std::vector<std::string> texts;
        for (std::span<const std::byte> records(batch.data(), last.size); !records.empty();) {
            texts.emplace_back(take_record(records).text);
        }
        return texts;
    }

    Bus& bus;
    Reactor reactor{ReactorOptions{}};
    NewsJob job;
    BusReader reader{reactor, job};
    Bus::Read last;
};

struct Publisher {
    explicit Publisher(Bus& published) : bus(published) {}
    void say(std::string_view text, std::initializer_list<Listener*> listeners) {
        const std::uint64_t place = bus.append({.nick = "anna", .text = text});
        for (Listener* const listener : listeners) bus.offer(listener->reader.slot(), place, &own);
        bus.wake_readers();
    }

    Bus& bus;
    Reactor reactor{ReactorOptions{}};
    NewsJob job;
    BusReader own{reactor, job};
};

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("every reader reads what is for it in the order of publishing, and is woken once") {
    TestBus bus(4096);
    Listener one(bus);
    Listener other(bus);
    Publisher anna(bus);
    anna.say("a", {&one, &other});
    anna.say("b", {&one, &other});
    CHECK(one.take_news() == 1);
    CHECK(one.take_news() == 0);
    CHECK(one.read() == Texts{"a", "b"});
    CHECK(bus.caught_up(one.reader));
    anna.say("c", {&one, &other});
    CHECK(one.take_news() == 1);
    CHECK(one.read() == Texts{"c"});
    CHECK(other.take_news() == 1);
    CHECK(other.read() == Texts{"a", "b", "c"});
}

TEST_CASE("what is taken back is read by nobody, also not by those whom only the last of it was for") {
    TestBus bus(4096);
    Listener one(bus);
    Listener other(bus);
    Publisher anna(bus);
    bus.commit();
    anna.say("a", {&one});
    anna.say("b", {&one, &other});
    bus.roll_back();
    CHECK(one.read().empty());
    CHECK(other.read().empty());
    anna.say("c", {&one, &other});
    CHECK(one.read() == Texts{"c"});
    CHECK(other.read() == Texts{"c"});
}

TEST_CASE("a courier whose burial is taken back still has what it was to deliver") {
    TestBus bus(4096);
    Publisher anna(bus);
    const Slot courier = bus.attach_courier();
    bus.offer(courier, bus.append({.nick = "anna", .text = "a"}), nullptr);
    bus.commit();
    CHECK_FALSE(bus.take_backlog(courier).records.empty());
    bus.bury(courier);
    bus.roll_back();
    const Bus::Backlog backlog = bus.take_backlog(courier);
    std::span<const std::byte> records = backlog.records;
    REQUIRE_FALSE(records.empty());
    CHECK(take_record(records).text == "a");
    CHECK(records.empty());
    bus.bury(courier);
}

TEST_CASE("a reader is not woken for what is not for it, and does not hold up the bus") {
    TestBus bus(4096);
    Listener one(bus);
    Listener idle(bus);
    Publisher anna(bus);
    for (int i = 0; i < 1000; ++i) {
        anna.say(std::to_string(i), {&one});
        one.take_news();
        CHECK(one.read() == Texts{std::to_string(i)});
    }
    CHECK(bus.has_room());
    CHECK(idle.take_news() == 0);
    anna.say("for both", {&one, &idle});
    CHECK(idle.take_news() == 1);
    CHECK(idle.read() == Texts{"for both"});
}

TEST_CASE("the publisher's own reader is not woken: it knows") {
    TestBus bus(4096);
    Listener one(bus);
    const std::uint64_t place = bus.append({.text = "mine"});
    bus.offer(one.reader.slot(), place, &one.reader);
    bus.wake_readers();
    CHECK(one.take_news() == 0);
    CHECK(one.read() == Texts{"mine"});
}

TEST_CASE("a read takes whole records, and says what the next one needs when it does not fit") {
    TestBus bus(4096);
    Listener one(bus);
    Publisher anna(bus);
    const std::string text(100, 'x');
    for (int i = 0; i < 3; ++i) anna.say(text, {&one});
    one.take_news();
    const Entry entry{.nick = "anna", .text = text};
    const std::size_t record = Record(entry).size();
    CHECK(one.read(2 * record + 1) == Texts{text, text});
    CHECK(one.last.more);
    CHECK(one.read(record - 1).empty());
    CHECK(one.last.needed == record);
    CHECK(one.last.more);
    CHECK(one.read(record) == Texts{text});
    CHECK_FALSE(one.last.more);
}

TEST_CASE("records wrap around the end of the ring whole") {
    TestBus bus(1024);
    Listener one(bus);
    Publisher anna(bus);
    for (std::size_t i = 0; i < 500; ++i) {
        const std::string text(i % 60, static_cast<char>('a' + i % 26));
        anna.say(text, {&one});
        REQUIRE(one.read() == Texts{text});
    }
    one.take_news();
}

TEST_CASE("a bus with a slow reader is paced, and whoever waits is woken once it has caught up half-way") {
    TestBus bus(4096);
    Listener slow(bus);
    Publisher anna(bus);
    REQUIRE(bus.attach(anna.own));
    int published = 0;
    for (; bus.has_room(); ++published) anna.say(std::string(100, 'x'), {&slow});
    CHECK(published > 10);
    const std::uint64_t shortage = bus.wait_for_room(anna.own);
    CHECK(shortage != 0);
    slow.read(400);
    CHECK_FALSE(bus.has_room());
    bus.wake_readers();
    anna.reactor.turn();
    CHECK(anna.job.runs == 0);
    slow.read();
    CHECK(bus.has_room());
    bus.wake_readers();
    anna.reactor.turn();
    CHECK(anna.job.runs == 1);
    anna.own.take_news();
    CHECK(bus.wait_for_room(anna.own) == 0);
    slow.take_news();
    bus.detach(anna.own);
}

TEST_CASE("what cannot wait is taken all the same, at the cost of the slowest reader alone") {
    TestBus bus(4096);
    Listener slow(bus);
    Listener quick(bus);
    Publisher anna(bus);
    for (int i = 0; i < 100; ++i) {
        anna.say(std::to_string(i), {&slow, &quick});
        REQUIRE(quick.read() == Texts{std::to_string(i)});
    }
    CHECK(slow.read().empty());
    CHECK(slow.last.overrun);
    bus.skip_ahead(slow.reader);
    CHECK(bus.has_room());
    anna.say("next", {&slow, &quick});
    CHECK(slow.read() == Texts{"next"});
    for (Listener* const each : {&slow, &quick}) each->take_news();
}

TEST_CASE("a shortage that is given up on ends, and one that is over already is left alone") {
    TestBus bus(4096);
    Listener slow(bus);
    Publisher anna(bus);
    REQUIRE(bus.attach(anna.own));
    while (bus.has_room()) anna.say("x", {&slow});
    const std::uint64_t shortage = bus.wait_for_room(anna.own);
    bus.give_up_on_laggards(shortage + 1);
    CHECK_FALSE(bus.has_room());
    bus.give_up_on_laggards(shortage);
    CHECK(bus.has_room());
    slow.read();
    CHECK(slow.last.overrun);
    bus.detach(anna.own);
    slow.take_news();
    while (anna.own.news_posted()) {
        anna.reactor.turn();
        if (anna.job.runs > 0) anna.own.take_news();
    }
}

TEST_CASE("a reader that goes away holds nobody up any more") {
    TestBus bus(4096);
    Publisher anna(bus);
    {
        Listener slow(bus);
        while (bus.has_room()) anna.say("x", {&slow});
    }
    CHECK(bus.has_room());
}

}  // namespace confab::chat
