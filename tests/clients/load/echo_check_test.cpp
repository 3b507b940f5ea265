// What the check of an echo makes of servers that do wrong, each in one way.
#include "clients/load/echo_check.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <random>

using namespace confab;
using namespace confab::load;

namespace {

constexpr std::size_t message_size = 64;
constexpr std::size_t count = 40;

using Message = std::vector<std::byte>;

struct Exchange {
    const Pattern pattern{1 << 16, nullptr};
    std::size_t place = 60'000;  // so that it passes the end of the pattern
    std::vector<Message> messages;

    Exchange() {
        for (std::size_t i = 0; i < count; ++i) {
            const Bytes sent = pattern.sent((place + i * message_size) % Pattern::period, message_size);
            messages.emplace_back(sent.begin(), sent.end());
        }
    }

    // Hands all that comes to a check, in pieces of every size, and gives what it found.
    Faults check() const {
        Message stream;
        for (const Message& message : messages) stream.insert(stream.end(), message.begin(), message.end());
        Faults result;
        bool first = true;
        for (const std::size_t piece :
             {std::size_t{1}, std::size_t{7}, message_size, 3 * message_size + 5, stream.size()}) {
            EchoCheck check(pattern, message_size, place);
            std::size_t under_way = count;
            for (std::size_t at = 0; at < stream.size(); at += piece) {
                const Bytes bytes = Bytes(stream).subspan(at, std::min(piece, stream.size() - at));
                const std::size_t answered = check.take(bytes, under_way);
                REQUIRE(answered <= under_way);
                under_way -= answered;
            }
            Faults faults = check.faults();
            faults.lost += check.missing() + under_way;
            CAPTURE(piece);
            if (!first) {
                CHECK(faults.lost == result.lost);
                CHECK(faults.doubled == result.doubled);
                CHECK(faults.reordered == result.reordered);
                CHECK(faults.corrupted == result.corrupted);
            }
            result = faults;
            first = false;
        }
        return result;
    }
};

}  // namespace

TEST_CASE("a true echo has no faults") { CHECK(Exchange().check().all() == 0); }

TEST_CASE("an echo in upper case is compared with upper case") {
    const Pattern pattern(4096, [](LentBytes bytes) {
        for (std::byte& byte : bytes) byte |= std::byte{1};
    });
    EchoCheck check(pattern, 100, 5);
    const Bytes answer = pattern.expected(5, 1000);
    CHECK(check.take(answer, 10) == 10);
    CHECK(check.faults().all() == 0);
}

TEST_CASE("messages that never come are lost") {
    Exchange exchange;
    exchange.messages.erase(exchange.messages.begin() + 5);
    exchange.messages.erase(exchange.messages.begin() + 20, exchange.messages.begin() + 23);
    const Faults faults = exchange.check();
    CHECK(faults.lost == 4);
    CHECK(faults.all() == 4);
}

TEST_CASE("the last message that never comes is lost") {
    Exchange exchange;
    exchange.messages.pop_back();
    const Faults faults = exchange.check();
    CHECK(faults.lost == 1);
    CHECK(faults.all() == 1);
}

TEST_CASE("messages that come twice are doubled, at once or later") {
    Exchange exchange;
    exchange.messages.insert(exchange.messages.begin() + 3, exchange.messages[2]);
    exchange.messages.insert(exchange.messages.begin() + 30, exchange.messages[10]);
    const Faults faults = exchange.check();
    CHECK(faults.doubled == 2);
    CHECK(faults.all() == 2);
}

TEST_CASE("messages that come behind later ones are reordered, and not lost") {
    Exchange exchange;
    std::swap(exchange.messages[4], exchange.messages[5]);
    std::swap(exchange.messages[10], exchange.messages[13]);
    const Faults faults = exchange.check();
    // 13 comes first, so 10, 11 and 12 are behind a later one.
    CHECK(faults.reordered == 4);
    CHECK(faults.all() == 4);
}

TEST_CASE("a message with one wrong bit is corrupted, and those after it are not") {
    Exchange exchange;
    exchange.messages[7][63] ^= std::byte{4};
    const Faults faults = exchange.check();
    CHECK(faults.corrupted == 1);
    CHECK(faults.all() == 1);
}

TEST_CASE("a byte too few or too many spoils its messages, not those after them") {
    Exchange exchange;
    SUBCASE("too few") { exchange.messages[9].erase(exchange.messages[9].begin() + 30); }
    SUBCASE("some too few") {
        exchange.messages[9].erase(exchange.messages[9].begin() + 10, exchange.messages[9].end());
    }
    SUBCASE("too many") { exchange.messages[9].insert(exchange.messages[9].begin() + 30, std::byte{1}); }
    const Faults faults = exchange.check();
    CHECK(faults.all() >= 1);
    CHECK(faults.all() <= 3);
    CHECK(faults.corrupted >= 1);
}

TEST_CASE("an answer to nothing is corrupted") {
    const Pattern pattern(4096, nullptr);
    EchoCheck check(pattern, 64, 0);
    CHECK(check.take(pattern.expected(0, 64), 0) == 0);
    CHECK(check.faults().corrupted == 1);
}

TEST_CASE("messages of one byte are checked, though not told apart") {
    const Pattern pattern(4096, nullptr);
    EchoCheck check(pattern, 1, 100);
    CHECK(check.take(pattern.expected(100, 16), 16) == 16);
    Message wrong{~pattern.expected(116, 1)[0]};
    CHECK(check.take(wrong, 1) == 1);
    CHECK(check.faults().corrupted == 1);
}

TEST_CASE("whatever a server sends, no more is answered than was asked") {
    const Pattern pattern(1 << 16, nullptr);
    std::mt19937_64 random(7);
    for (int round = 0; round < 300; ++round) {
        const std::size_t size = 1 + random() % 100;
        EchoCheck check(pattern, size, random() % Pattern::period);
        std::size_t under_way = 50;
        for (int piece = 0; piece < 20; ++piece) {
            const std::size_t length = 1 + random() % 500;
            const std::size_t place = random() % 3 == 0 ? check.place() : random() % Pattern::period;
            Message bytes(length);
            std::ranges::copy(pattern.expected(place, length), bytes.begin());
            if (random() % 4 == 0) bytes[random() % length] ^= std::byte{0x80};
            const std::size_t answered = check.take(bytes, under_way);
            REQUIRE(answered <= under_way);
            under_way -= answered;
        }
    }
}
