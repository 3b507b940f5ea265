// What is made of members who do not hear what the room's witness hears.
#include "clients/load/room_order.hpp"

#include <doctest/doctest.h>

#include <vector>

#include "clients/load/chat_load.hpp"

using namespace confab::load;

namespace {

// Speakers 1 and 2 take turns: 1.0 2.0 1.1 2.1 ...
std::vector<Saying> conversation(std::size_t length) {
    std::vector<Saying> sayings;
    for (std::uint64_t i = 0; i < length; ++i)
        sayings.push_back({.speaker = i % 2 == 0 ? 1U : 2U, .number = i / 2});
    return sayings;
}

// What is wrong when the witness hears `said` and a member `heard`: before, after, and at the same time.
Faults compare(const std::vector<Saying>& said, const std::vector<Saying>& heard,
               std::uint32_t listener = 9) {
    Faults result;
    for (const std::size_t behind : {std::size_t{0}, std::size_t{3}, heard.size()}) {
        for (const bool witness_is_behind : {true, false}) {
            RoomLog log;
            Listening listening(log, listener);
            const std::size_t steps = std::max(said.size(), heard.size()) + behind;
            for (std::size_t i = 0; i < steps; ++i) {
                const std::size_t late = i - behind;  // wraps round to something large before its time
                const std::size_t of_said = witness_is_behind ? late : i,
                                  of_heard = witness_is_behind ? i : late;
                if (of_said < said.size()) log.append(said[of_said]);
                if (of_heard < heard.size()) listening.hear(heard[of_heard]);
            }
            result = listening.faults();
            CAPTURE(behind);
            CAPTURE(witness_is_behind);
            if (behind == 0) continue;
            RoomLog whole;
            Listening at_once(whole, listener);
            for (const Saying& saying : said) whole.append(saying);
            for (const Saying& saying : heard) at_once.hear(saying);
            CHECK(at_once.faults().all() == result.all());
        }
    }
    return result;
}

}  // namespace

TEST_CASE("who hears what the witness hears is without fault") {
    const auto said = conversation(20);
    CHECK(compare(said, said).all() == 0);
}

TEST_CASE("what comes once more is known as soon as the witness has heard it") {
    RoomLog log;
    Listening listening(log, 9);
    const Saying first{.speaker = 1, .number = 0}, second{.speaker = 1, .number = 1};
    CHECK(!listening.hear(first));
    CHECK(!listening.hear(first));
    CHECK(listening.is_ahead());
    CHECK(listening.catch_up() == 0);
    log.append(first);
    CHECK(listening.catch_up() == 1);
    CHECK(!listening.is_ahead());
    CHECK(listening.hear(first));
    log.append(second);
    CHECK(!listening.hear(second));
    CHECK(listening.faults().doubled == 2);
    CHECK(listening.faults().all() == 2);
}

TEST_CASE("a speaker does not miss what he said himself, nor is it wrong to be told") {
    const auto said = conversation(20);
    std::vector<Saying> others;
    for (const Saying& saying : said) {
        if (saying.speaker != 1) others.push_back(saying);
    }
    CHECK(compare(said, others, 1).all() == 0);
    CHECK(compare(said, said, 1).all() == 0);
}

TEST_CASE("who comes later misses nothing of what was said before") {
    const auto said = conversation(20);
    CHECK(compare(said, std::vector<Saying>(said.begin() + 7, said.end())).all() == 0);
}

TEST_CASE("what is not heard is lost, amid the rest and at the end") {
    const auto said = conversation(20);
    auto heard = said;
    heard.erase(heard.begin() + 10);
    heard.pop_back();
    const Faults faults = compare(said, heard);
    CHECK(faults.lost == 2);
    CHECK(faults.all() == 2);
}

TEST_CASE("what is heard twice is doubled") {
    const auto said = conversation(20);
    auto heard = said;
    heard.insert(heard.begin() + 8, heard[5]);
    const Faults faults = compare(said, heard);
    CHECK(faults.doubled == 1);
    CHECK(faults.all() == 1);
}

TEST_CASE("what is heard behind something later is reordered") {
    const auto said = conversation(20);
    auto heard = said;
    std::swap(heard[11], heard[12]);
    const Faults faults = compare(said, heard);
    CHECK(faults.reordered == 1);
    CHECK(faults.all() == 1);
}

TEST_CASE("who leaves in the middle misses nothing of what is said afterwards") {
    const auto said = conversation(20);
    RoomLog log;
    Listening listening(log, 9);
    for (const Saying& saying : said) log.append(saying);
    for (std::size_t i = 0; i < 10; ++i) {
        if (i != 4) listening.hear(said[i]);
    }
    CHECK(listening.faults(false).lost == 1);
    CHECK(listening.faults(true).lost == 11);
}

TEST_CASE("what the witness never hears is lost") {
    const auto said = conversation(20);
    auto witnessed = said;
    witnessed.erase(witnessed.begin() + 10);
    CHECK(compare(witnessed, said).lost > 0);
}

TEST_CASE("rooms have sizes by Zipf's law, two members at least, and everybody is in one") {
    for (const auto& [members, rooms] :
         {std::pair<std::size_t, std::size_t>{2, 1}, {1000, 10}, {100, 50}, {77'777, 333}}) {
        const std::vector<std::size_t> sizes = room_sizes(members, rooms);
        std::size_t all = 0;
        for (std::size_t i = 0; i < sizes.size(); ++i) {
            CHECK(sizes[i] >= 2);
            if (i > 0) CHECK(sizes[i] <= sizes[i - 1] + 1);
            all += sizes[i];
        }
        CHECK(all == members);
    }
    const std::vector<std::size_t> sizes = room_sizes(100'000, 100);
    CHECK(static_cast<double>(sizes[0]) / static_cast<double>(sizes[3]) == doctest::Approx(4).epsilon(0.01));
}
