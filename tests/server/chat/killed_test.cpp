// A process of the chat is killed, at every kind of instruction: the others find all of its change or
// nothing.
#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <random>
#include <string>
#include <type_traits>
#include <vector>

#include "server/chat/chat_memory_parts.hpp"
#include "tests/server/chat/chat_world.hpp"
#include "tests/support/kill_after.hpp"

namespace confab::chat {
namespace {

int kills() {
    const char* const wanted = std::getenv("CONFAB_KILLS");
    return wanted != nullptr ? std::atoi(wanted) : 300;
}

// What another process does with the chat, without a hub in the way.
class Intruder {
  public:
    Intruder(const ChatMemory& memory, std::uint32_t process) : chat_(memory, process) {
        chat_.attach(reader_);
        const auto entered = when_caught_up([this] { return chat_.enter(reader_); });
        id_ = entered->id;
        nick_ = entered->nick;
    }

    void say(RoomId room, std::string_view text, Kind kind = Kind::said) {
        chat_.say(reader_, kind, id_, nick_.view(), room, text);
    }
    RoomId join(std::string_view room) {
        return when_caught_up([&] { return chat_.join(reader_, id_, Name(room), Instant()); })->room;
    }
    void part(RoomId room) {
        when_caught_up([&] { return chat_.part(reader_, id_, room, Instant()); });
    }
    void rename(std::string_view nick) {
        if (chat_.rename(reader_, id_, Name(nick))) nick_ = Name(nick);
    }
    void tell(std::string_view nick, std::string_view text) {
        (void)chat_.tell(reader_, id_, nick_.view(), nick, text);
    }
    void leave() { chat_.leave(reader_, id_, Reason::quit, Instant()); }

  private:
    template <class Verb>
    std::invoke_result_t<Verb> when_caught_up(Verb verb) {
        auto result = verb();
        while (!result && result.error() == Refusal::behind) {
            if (chat_.read(reader_, piece_).overrun) chat_.skip_ahead(reader_, {}, {});
            result = verb();
        }
        return result;
    }

    Chat chat_;
    Reactor reactor_{ReactorOptions{}};
    Job news_{[](Job&) noexcept {}};
    Bell bell_;
    BusReader reader_{reactor_, news_, bell_.name()};
    std::array<std::byte, 16 * 1024> piece_;
    MemberId id_;
    Name nick_;
};

// Those that stay, and what they have heard.
class Survivors {
  public:
    explicit Survivors(const Limits& limits)
        : memory_(limits, 35), chat_(memory_, 0), site_(chat_), anna_(site_, "anna") {
        anna_.type("/join tea");
        anna_.hear();
    }
    const ChatMemory& memory() const { return memory_; }

    void bury(std::uint32_t process) {
        memory_.process_lost(process);
        Person::settle({&site_});
        heard_ += anna_.hear();
    }

    // Everything that ended with the process has gone, and nothing else.
    void check_who_is_here() {
        const ChatMemory::Parts& parts = memory_.parts();
        CHECK(parts.head.ended_processes == 0);
        CHECK(parts.bus.head.readers.taken == 1);
        CHECK(parts.directory.head.members.taken == 1);
        CHECK(parts.directory.head.seats.taken == 2);
        CHECK(parts.directory.head.audiences.taken == 2);
        CHECK(parts.directory.head.nicks.names == 1);
        CHECK(parts.directory.head.rooms.taken == parts.directory.head.room_names.names);
        for (const std::string_view room : {"lobby", "tea"}) {
            const auto roll = chat_.who(room, 100);
            REQUIRE(roll.has_value());
            CHECK(roll->members == 1);
            REQUIRE(roll->nicks.size() == 1);
            CHECK(roll->nicks.front().view() == "anna");
        }
        anna_.type("/nick bert\n/nick anna");
        Person::settle({&site_});
        CHECK(anna_.hear() == "* you are now bert\n* you are now anna\n");
    }

    // What a room remembers is what was heard in it, in the same order.
    void check_history_of(RoomId room, std::string_view name) {
        const std::string prefix = "[" + std::string(name) + "] ";
        std::vector<std::string> texts;
        for (std::size_t begin = 0; begin < heard_.size();) {
            const std::size_t end = heard_.find('\n', begin);
            const std::string_view line = std::string_view(heard_).substr(begin, end - begin);
            if (line.starts_with(prefix)) texts.emplace_back(line.substr(line.find(": ") + 2));
            begin = end + 1;
        }
        std::vector<std::string> remembered;
        std::uint64_t seq = 0;
        const std::vector<std::byte> bytes = directory_.recall(room, 1000);
        for (std::span<const std::byte> records = bytes; !records.empty();) {
            const Entry entry = take_record(records);
            if (seq != 0) CHECK(entry.position.seq == seq + 1);
            seq = entry.position.seq;
            if (entry.kind == Kind::said) remembered.emplace_back(entry.text);
        }
        CHECK(chat_.look(room).position.seq == seq);
        REQUIRE(remembered.size() <= texts.size());
        CHECK(std::equal(remembered.rbegin(), remembered.rend(), texts.rbegin()));
    }

    RoomId tea() { return anna_.member().look()->room; }

  private:
    ChatMemory memory_;
    Chat chat_;
    Journal journal_{memory_.parts().head.journal};
    Directory directory_{memory_.parts().directory, journal_, std::chrono::hours(1)};  // to look at only
    Site site_;
    Person anna_;
    std::string heard_;
};

}  // namespace

TEST_CASE("who is killed at any instruction has said and done a thing or has not, and wedges nobody") {
    Limits limits;
    limits.line_length = 64;
    limits.bus_bytes = 4096;     // so that there are laggards
    limits.history_length = 20;  // so that old messages make way
    limits.members = 100;
    Survivors survivors(limits);
    const RoomId tea = survivors.tea();
    const unsigned seed = std::random_device{}();
    CAPTURE(seed);
    std::mt19937 random(seed);
    long longest = 4000;
    int killed = 0;
    for (int round = 0; killed < kills(); ++round) {
        REQUIRE(round < 2 * kills() + 100);
        const long instructions = std::uniform_int_distribution(0L, longest)(random);
        const int verb = round % 8;
        CAPTURE(instructions);
        CAPTURE(verb);
        const std::string number = std::to_string(round);
        const bool was_killed = kill_after(instructions, [&](const std::function<void()>& begin) {
            Intruder intruder(survivors.memory(), 1);
            intruder.rename("carl");
            intruder.join("tea");
            for (int i = 0; i < round % 5; ++i) intruder.say(tea, number + " before " + std::to_string(i));
            if (verb == 1) intruder.join("r" + std::to_string(round % 3));
            begin();
            switch (verb) {
                case 0:
                    intruder.say(tea, number + ' ' + std::string(static_cast<std::size_t>(round % 50), 'x'));
                    break;
                case 1:
                    intruder.say(tea, number, Kind::topic);
                    break;
                case 2:
                    intruder.join("r" + std::to_string(round % 5));
                    break;
                case 3:
                    intruder.part(tea);
                    break;
                case 4:
                    intruder.rename("dora" + number);
                    break;
                case 5:
                    intruder.tell("anna", "psst");
                    break;
                case 6:
                    intruder.leave();
                    break;
                default:
                    Intruder(survivors.memory(), 2).say(Directory::lobby, number);
                    break;
            }
            std::_Exit(0);
        });
        longest = was_killed ? longest + 10 : std::max(500L, instructions);
        killed += was_killed;
        survivors.bury(1);
        survivors.bury(2);
        survivors.check_who_is_here();
        survivors.check_history_of(tea, "tea");
        survivors.check_history_of(Directory::lobby, "lobby");
    }
}

}  // namespace confab::chat
