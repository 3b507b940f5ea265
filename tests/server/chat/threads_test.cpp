#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <thread>

#include "tests/server/chat/chat_world.hpp"

namespace confab::chat {
namespace {

using Next = LineConversation::Next;

constexpr int threads = 4;
constexpr int rooms = 3;
constexpr int lines_each = 300;
constexpr std::size_t said_in_a_room = threads * lines_each;

// What one member heard of his room, and what his own lines look like there.
struct Hearing {
    int room;
    std::string own;  // empty for one who only listens
    std::string heard;
};

struct Seat {
    Seat(Site& site, int number, bool speaks) : person(site), record{.room = number, .own = {}, .heard = {}} {
        person.type("/join r" + std::to_string(number) + "\n/part lobby");
        if (speaks) record.own = ' ' + std::string(person.member().session().nick.view()) + ": ";
    }
    void listen() { record.heard += person.hear(); }

    Person person;
    Hearing record;
    int said = 0;
};

std::vector<std::string> messages_in(const Hearing& record) {
    const std::string prefix = "[r" + std::to_string(record.room) + "]";
    std::vector<std::string> messages;
    for (std::size_t begin = 0; begin < record.heard.size();) {
        const std::size_t end = record.heard.find('\n', begin);
        std::string line = record.heard.substr(begin, end - begin);
        if (line.starts_with(prefix)) messages.push_back(line.substr(prefix.size()));
        begin = end + 1;
    }
    return messages;
}

std::size_t count_lines(const std::string& text) {
    return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

// One thread's life: some members of each room speak, the others listen, until all have heard all.
std::vector<Hearing> live(Chat& chat, std::barrier<>& everyone) {
    Site site(chat);
    std::vector<std::unique_ptr<Seat>> seats;
    for (int room = 0; room < rooms; ++room) {
        for (const bool speaks : {true, false}) seats.push_back(std::make_unique<Seat>(site, room, speaks));
    }
    everyone.arrive_and_wait();
    Person::settle({&site});
    for (const auto& seat : seats) seat->person.hear();
    everyone.arrive_and_wait();
    bool all_heard = false;
    while (!all_heard) {
        all_heard = true;
        for (const auto& seat : seats) {
            Person& person = seat->person;
            const bool speaks = !seat->record.own.empty();
            if (person.next == Next::await_room) {
                person.go_on();
            } else if (speaks && seat->said < lines_each) {
                const std::string first = std::to_string(seat->said++);
                person.type(first + "\n" + std::to_string(seat->said++));
            }
            site.reactor.turn();
            seat->listen();
            const std::size_t owed = said_in_a_room - (speaks ? lines_each : 0);
            all_heard = all_heard && count_lines(seat->record.heard) >= owed &&
                        seat->said == (speaks ? lines_each : 0);
        }
    }
    everyone.arrive_and_wait();
    Person::settle({&site});
    std::vector<Hearing> records;
    for (const auto& seat : seats) {
        seat->listen();
        records.push_back(seat->record);
    }
    everyone.arrive_and_wait();
    return records;
}

}  // namespace

TEST_CASE("members on many threads hear every message of their room once, all in the same order") {
    Limits limits;
    limits.line_length = 128;
    limits.bus_bytes = 16 * 1024;  // so that publishers wait for readers all the time
    limits.publisher_patience = std::chrono::hours(1);
    WholeChat chat(limits);
    std::barrier<> everyone(threads);
    std::vector<std::vector<Hearing>> all(threads);
    std::vector<std::thread> workers;
    for (std::size_t i = 0; i < threads; ++i) {
        workers.emplace_back([&, i] { all[i] = live(chat, everyone); });
    }
    for (std::thread& worker : workers) worker.join();

    for (int room = 0; room < rooms; ++room) {
        std::vector<std::string> order;
        for (const auto& records : all) {
            for (const Hearing& record : records) {
                if (record.room != room || !record.own.empty()) continue;
                if (order.empty()) order = messages_in(record);
                CHECK(messages_in(record) == order);
            }
        }
        CHECK(order.size() == said_in_a_room);
        for (const auto& records : all) {
            for (const Hearing& record : records) {
                if (record.room != room || record.own.empty()) continue;
                std::vector<std::string> others = order;
                std::vector<std::string> own;
                std::erase_if(others, [&](const std::string& line) {
                    if (!line.starts_with(record.own)) return false;
                    own.push_back(line.substr(record.own.size()));
                    return true;
                });
                CHECK(messages_in(record) == others);
                REQUIRE(own.size() == lines_each);
                for (int i = 0; i < lines_each; ++i)
                    CHECK(own[static_cast<std::size_t>(i)] == std::to_string(i));
            }
        }
    }
}

TEST_CASE("people come and go on many threads, and at the end nobody and nothing is left") {
    WholeChat chat;
    std::barrier<> everyone(threads);
    std::vector<std::thread> workers;
    std::atomic<std::size_t> left{0};
    for (int i = 0; i < threads; ++i) {
        workers.emplace_back([&, i] {
            Site site(chat);
            for (int round = 0; round < 100; ++round) {
                Person person(site);
                person.type("/nick p" + std::to_string(round % 3) + "\n/join r" +
                            std::to_string((round + i) % 4) +
                            "\nhello\n/msg p1 x\n/who\n/rooms\n/history\n/part\nbye");
                person.hear();
            }
            everyone.arrive_and_wait();
            left += site.hub.size();
        });
    }
    for (std::thread& worker : workers) worker.join();
    CHECK(left == 0);
    CHECK(chat.chat.rooms(1).all == 0);
}

}  // namespace confab::chat
