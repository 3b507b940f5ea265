// In the order of the groups of the Autobahn test suite, which is the common list of what can go wrong.
#include "server/wire/websocket_reader.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

#include "pools/serialise.hpp"
#include "server/wire/deflate.hpp"
#include "tests/server/wire/client_frames.hpp"

using namespace confab::wire;
using Kind = WebSocketEvent::Kind;

namespace {

constexpr std::size_t limit = 1 << 20;

/// What a reader makes of bytes: "text:hello", "ping:x", "close:1000:bye", "failed:1002".
std::string describe(const WebSocketEvent& event) {
    const std::string payload(event.payload);
    switch (event.kind) {
        case Kind::text:
            return "text:" + payload;
        case Kind::binary:
            return "binary:" + payload;
        case Kind::ping:
            return "ping:" + payload;
        case Kind::pong:
            return "pong:" + payload;
        case Kind::close:
            return "close:" + std::to_string(event.code) + ':' + payload;
        case Kind::failed:
            return "failed:" + std::to_string(event.code);
        case Kind::need_more:
            break;
    }
    return "more";
}

using Events = std::vector<std::string>;

/// All events of `bytes`, which come in pieces of `size`, up to the last one that there can be.
Events events(std::string bytes, std::size_t size = 0, std::size_t message_limit = limit,
              bool compression = false) {
    WebSocketReader reader;
    if (compression) reader.expect_compressed();
    Events seen;
    std::span<std::byte> rest = std::as_writable_bytes(std::span(bytes));
    if (size == 0) size = bytes.size();
    while (!rest.empty()) {
        std::span<std::byte> piece = rest.first(std::min(size, rest.size()));
        rest = rest.subspan(piece.size());
        while (true) {
            const WebSocketEvent event = reader.next(piece, message_limit);
            if (event.kind == Kind::need_more) break;
            seen.push_back(describe(event));
            if (event.kind == Kind::close || event.kind == Kind::failed) return seen;
        }
    }
    return seen;
}

/// The same in one piece, byte by byte, and in pieces of seven.
void check(const std::string& bytes, const Events& expected) {
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{7}}) {
        CAPTURE(size);
        CHECK(events(bytes, size) == expected);
    }
}

}  // namespace

TEST_CASE("1: a message of any length arrives whole, in whatever pieces it comes") {
    for (const std::size_t size :
         std::initializer_list<std::size_t>{0, 1, 125, 126, 127, 128, 65535, 65536, 65537}) {
        CAPTURE(size);
        const std::string payload(size, '*');
        check(text(payload), {"text:" + payload});
        check(binary(payload), {"binary:" + payload});
    }
    const std::string payload(65536, '*');
    for (const std::size_t chop : std::initializer_list<std::size_t>{997, 1024, 4096})
        CHECK(events(text(payload), chop) == Events{"text:" + payload});
    check(text("a") + binary("b") + text("c"), {"text:a", "binary:b", "text:c"});
}

TEST_CASE("2: a ping carries up to 125 bytes, and pongs that nobody asked for are only pongs") {
    check(ping(""), {"ping:"});
    check(ping(std::string("\x00\xff\xfe", 3)), {"ping:" + std::string("\x00\xff\xfe", 3)});
    check(ping(std::string(125, 'p')), {"ping:" + std::string(125, 'p')});
    check(ping(std::string(126, 'p')), {"failed:1002"});
    check(pong("unasked") + ping("asked"), {"pong:unasked", "ping:asked"});
    std::string ten;
    Events answers;
    for (int i = 0; i < 10; ++i) {
        ten += ping(std::to_string(i));
        answers.push_back("ping:" + std::to_string(i));
    }
    check(ten, answers);
}

TEST_CASE("3: a reserved bit fails the connection, and what came before it counts") {
    for (unsigned bits = 1; bits < 8; ++bits) {
        CAPTURE(bits);
        check(text("before") + client_frame(fin | bits, 1, "x"), {"text:before", "failed:1002"});
        check(client_frame(fin | bits, 9, ""), {"failed:1002"});
        check(client_frame(fin | bits, 8, ""), {"failed:1002"});
    }
}

TEST_CASE("4: a reserved opcode fails the connection") {
    for (const unsigned opcode : {3U, 4U, 5U, 6U, 7U, 11U, 12U, 13U, 14U, 15U}) {
        CAPTURE(opcode);
        check(text("before") + client_frame(fin, opcode, "x"), {"text:before", "failed:1002"});
    }
}

TEST_CASE("5: fragments make a message, and control frames may come between them") {
    check(client_frame(0, 1, "frag") + client_frame(fin, 0, "ment"), {"text:fragment"});
    check(client_frame(0, 2, "a") + client_frame(0, 0, "") + client_frame(0, 0, "b") +
              client_frame(fin, 0, "c"),
          {"binary:abc"});
    check(client_frame(0, 1, "frag") + ping("now") + pong("too") + client_frame(fin, 0, "ment"),
          {"ping:now", "pong:too", "text:fragment"});
    check(client_frame(0, 1, "") + client_frame(0, 0, "") + client_frame(fin, 0, ""), {"text:"});
    check(client_frame(0, 1, "frag") + closing(1000), {"close:1000:"});
}

TEST_CASE("5: fragments out of place fail the connection") {
    check(client_frame(0, 9, "x"), {"failed:1002"});
    check(client_frame(0, 10, "x"), {"failed:1002"});
    check(client_frame(0, 8, ""), {"failed:1002"});
    check(client_frame(fin, 0, "stray"), {"failed:1002"});
    check(client_frame(0, 0, "stray"), {"failed:1002"});
    check(text("whole") + client_frame(fin, 0, "stray"), {"text:whole", "failed:1002"});
    check(client_frame(0, 1, "frag") + text("new"), {"failed:1002"});
    check(client_frame(0, 1, "frag") + client_frame(fin, 2, "new"), {"failed:1002"});
}

TEST_CASE("6: text is UTF-8, wherever it is cut") {
    const std::string good =
        "Hello-\xC2\xB5@\xC3\x9F\xC3\xB6\xC3\xA4\xE2\x82\xAC\xF0\x9F\x8D\xB5 \xEF\xBF\xBF\xF4\x8F\xBF\xBF";
    check(text(good), {"text:" + good});
    for (std::size_t cut = 0; cut <= good.size(); ++cut) {
        CAPTURE(cut);
        check(client_frame(0, 1, good.substr(0, cut)) + ping("") + client_frame(fin, 0, good.substr(cut)),
              {"ping:", "text:" + good});
    }
    check(binary("\xFF"), {"binary:\xFF"});
}

TEST_CASE("6: what is not UTF-8 fails the connection") {
    for (const std::string_view bad : {"\xC0\xAF",
                                       "\xC1\xBF",
                                       "\xE0\x80\xAF",
                                       "\xE0\x9F\xBF",
                                       "\xED\xA0\x80",
                                       "\xED\xBF\xBF",
                                       "\xF0\x80\x80\xAF",
                                       "\xF0\x8F\xBF\xBF",
                                       "\xF4\x90\x80\x80",
                                       "\xF5\x80\x80\x80",
                                       "\xF8\x88\x80\x80\x80",
                                       "\xFE",
                                       "\xFF",
                                       "\x80",
                                       "\xBF",
                                       "\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5\xED\xA0\x80\x65\x64ited",
                                       "\xE2\x82",
                                       "\xC2",
                                       "\xC2\x41",
                                       "\xF0\x9F\x8D"}) {
        const std::string payload(bad);
        CAPTURE(payload);
        check(text(payload), {"failed:1007"});
        check(text("long enough to be looked at by eights " + payload), {"failed:1007"});
        check(client_frame(0, 1, payload.substr(0, 1)) + client_frame(fin, 0, payload.substr(1)),
              {"failed:1007"});
    }
}

TEST_CASE("6.4: text fails at the first byte that shows it, long before the message is whole") {
    const std::string good = "\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5";
    const std::string whole = text(good + "\xF4\x90\x80\x80" + std::string(100, 'x'));
    const std::size_t header = 6;
    CHECK(events(whole.substr(0, header + good.size() + 1)).empty());
    CHECK(events(whole.substr(0, header + good.size() + 2)) == Events{"failed:1007"});
    CHECK(events(client_frame(0, 1, good + "\xF4\x90")) == Events{"failed:1007"});
}

TEST_CASE("7: a close says why, or nothing") {
    check(closing(""), {"close:1005:"});
    check(closing("\x03"), {"failed:1002"});
    check(closing(1000, "bye \xE2\x82\xAC"), {"close:1000:bye \xE2\x82\xAC"});
    check(closing(1000, std::string(123, 'x')), {"close:1000:" + std::string(123, 'x')});
    check(client_frame(fin, 8, std::string(126, 'x')), {"failed:1002"});
    check(closing(1000, "\xCE\xBA\xE1"), {"failed:1007"});
    check(closing(1000) + text("too late") + ping(""), {"close:1000:"});
    for (const unsigned code : {1000U, 1001U, 1002U, 1003U, 1007U, 1008U, 1009U, 1010U, 1011U, 1012U, 1013U,
                                1014U, 3000U, 3999U, 4000U, 4999U})
        check(closing(code), {"close:" + std::to_string(code) + ':'});
    for (const unsigned code :
         {0U, 999U, 1004U, 1005U, 1006U, 1015U, 1016U, 1100U, 2000U, 2999U, 5000U, 65535U})
        check(closing(code), {"failed:1002"});
}

TEST_CASE("9: a message may be as large as the limit, in one frame or in many, and no larger") {
    const std::string largest(100'000, 'm');
    CHECK(events(text(largest), 0, largest.size()) == Events{"text:" + largest});
    CHECK(events(text(largest + "m"), 0, largest.size()) == Events{"failed:1009"});
    std::string fragments = client_frame(0, 1, "");
    for (std::size_t i = 0; i < largest.size(); i += 1000)
        fragments += client_frame(0, 0, largest.substr(i, 1000));
    CHECK(events(fragments + client_frame(fin, 0, ""), 997, largest.size()) == Events{"text:" + largest});
    CHECK(events(fragments + client_frame(fin, 0, "m"), 997, largest.size()) == Events{"failed:1009"});
}

TEST_CASE("a message that is too large fails by its header alone") {
    const std::string header = client_frame(fin, 2, std::string(70'000, 'x')).substr(0, 14);
    CHECK(events(header, 0, 69'999) == Events{"failed:1009"});
    std::string endless = header;
    endless.replace(2, 8, "\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF");
    CHECK(events(endless) == Events{"failed:1009"});
}

TEST_CASE("a frame that is not masked, or whose length is written the long way, fails the connection") {
    std::string unmasked = text("x");
    unmasked[1] = '\x01';
    CHECK(events(unmasked.substr(0, 2)) == Events{"failed:1002"});
    CHECK(events(std::string("\x81\xFE\x00\x7D"
                             "mask",
                             8)) == Events{"failed:1002"});
    CHECK(events(std::string("\x81\xFF\x00\x00\x00\x00\x00\x00\xFF\xFF"
                             "mask",
                             14)) == Events{"failed:1002"});
    CHECK(events(std::string("\x81\xFF\x80\x00\x00\x00\x00\x01\x00\x00"
                             "mask",
                             14)) == Events{"failed:1002"});
}

TEST_CASE(
    "12: a compressed message is what was compressed, whole, in fragments and beside others that are not") {
    for (const std::size_t size :
         std::initializer_list<std::size_t>{0, 1, 16, 64, 256, 1024, 4096, 65536, 131072}) {
        std::string payload;
        while (payload.size() < size) payload += "{\"seq\":" + std::to_string(payload.size() * 7919) + "}";
        payload.resize(size);
        const std::string deflated = deflate_message(payload);
        CAPTURE(size);
        const std::string half = deflated.substr(0, deflated.size() / 2);
        const std::string bytes = client_frame(fin | 4, 1, deflated) + client_frame(fin, 1, payload) +
                                  client_frame(4, 2, half) + ping("between") +
                                  client_frame(fin, 0, deflated.substr(half.size()));
        const Events expected{"text:" + payload, "text:" + payload, "ping:between", "binary:" + payload};
        for (const std::size_t chop : std::initializer_list<std::size_t>{0, 1, 1000})
            CHECK(events(bytes, chop, limit, true) == expected);
    }
}

TEST_CASE(
    "12: other compressors' messages are read: several blocks, one that ends its stream, stored bytes") {
    const auto read = [](std::string_view payload) {
        return events(client_frame(fin | 4, 1, payload), 0, limit, true);
    };
    // The examples of RFC 7692, section 7.2.3.
    CHECK(read("\xf2\x48\xcd\xc9\xc9\x07" + std::string(1, '\0')) == Events{"text:Hello"});
    CHECK(read(std::string("\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", 11)) == Events{"text:Hello"});
    CHECK(read(std::string("\xf3\x48\xcd\xc9\xc9\x07\x00\x00", 8)) == Events{"text:Hello"});
    CHECK(read(std::string("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", 13)) ==
          Events{"text:Hello"});
    CHECK(read(std::string(1, '\0')) == Events{"text:"});
}

TEST_CASE("12: what is no compressed message, or was not agreed on, fails the connection") {
    const std::string hello = deflate_message("Hello");
    CHECK(events(client_frame(fin | 4, 1, hello)) == Events{"failed:1002"});
    CHECK(events(client_frame(fin | 2, 1, hello), 0, limit, true) == Events{"failed:1002"});
    CHECK(events(client_frame(fin | 4, 9, "x"), 0, limit, true) == Events{"failed:1002"});
    CHECK(events(client_frame(4, 1, hello) + client_frame(fin | 4, 0, ""), 0, limit, true) ==
          Events{"failed:1002"});
    CHECK(events(client_frame(fin | 4, 1, "\xff\xff\xff"), 0, limit, true) == Events{"failed:1007"});
    CHECK(events(client_frame(fin | 4, 1, deflate_message("\xff")), 0, limit, true) == Events{"failed:1007"});
}

TEST_CASE("12: no more is inflated than a message may have, however little was sent") {
    const std::string most(10'000, 'm');
    CHECK(events(client_frame(fin | 4, 1, deflate_message(most)), 0, most.size(), true) ==
          Events{"text:" + most});
    CHECK(events(client_frame(fin | 4, 1, deflate_message(most + "m")), 0, most.size(), true) ==
          Events{"failed:1009"});
    const std::string bomb = deflate_message(std::string(100'000'000, 'm'));
    CHECK(bomb.size() < 1'000'000);
    CHECK(events(client_frame(fin | 4, 1, bomb), 0, bomb.size(), true) == Events{"failed:1009"});
}

TEST_CASE("a reader that is written out anywhere in its input goes on elsewhere") {
    const std::string bytes = client_frame(0, 1, "Gr\xC3\xBC\xC3\x9F") + ping("in between") +
                              client_frame(fin, 0, "e \xE2\x82\xAC") + binary(std::string(200, 'b')) +
                              closing(1000, "bye");
    const Events all = events(bytes);
    for (std::size_t cut = 1; cut < bytes.size(); ++cut) {
        CAPTURE(cut);
        std::string first = bytes.substr(0, cut);
        std::string second = bytes.substr(cut);
        Events seen;
        const auto read = [&](WebSocketReader& reader, std::string& part) {
            std::span<std::byte> input = std::as_writable_bytes(std::span(part));
            while (true) {
                const WebSocketEvent event = reader.next(input, limit);
                if (event.kind == Kind::need_more) return;
                seen.push_back(describe(event));
                if (event.kind == Kind::close) return;
            }
        };
        WebSocketReader here;
        read(here, first);
        auto there = confab::from_bytes<WebSocketReader>(confab::to_bytes(here));
        read(there, second);
        CHECK(seen == all);
    }
}
