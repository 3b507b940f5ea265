#include "server/chat/line_splitter.hpp"

#include <doctest/doctest.h>

#include <random>
#include <string>
#include <vector>

namespace confab::chat {
namespace {

const std::string overlong = "(overlong)";

std::string shown(const SplitLine& line) { return line.overlong ? overlong : std::string(line.text); }

// What the splitter gives when `stream` comes in pieces that end at `cuts`; a fresh splitter a piece, as a
// connection has it.
std::vector<std::string> split(std::string_view stream, const std::vector<std::size_t>& cuts,
                               std::size_t limit) {
    PartialLine partial;
    std::vector<std::string> lines;
    std::size_t begin = 0;
    for (const std::size_t end : cuts) {
        const std::string piece(
            stream.substr(begin, end - begin));  // its own memory, so that sanitizers see misuse
        std::string_view input = piece;
        LineSplitter splitter(partial, limit);
        while (const auto line = splitter.next(input)) lines.push_back(shown(*line));
        begin = end;
    }
    LineSplitter splitter(partial, limit);
    if (const auto line = splitter.last()) lines.push_back(shown(*line));
    return lines;
}

std::vector<std::string> naive(std::string_view stream, std::size_t limit) {
    std::vector<std::string> lines;
    while (!stream.empty()) {
        const std::size_t length = stream.find('\n');
        std::string_view line = stream.substr(0, length);
        stream.remove_prefix(length == std::string_view::npos ? stream.size() : length + 1);
        if (line.ends_with('\r')) line.remove_suffix(1);
        lines.emplace_back(line.size() > limit ? overlong : line);
    }
    return lines;
}

}  // namespace

TEST_CASE("lines end with LF or CRLF, and the last one need not end") {
    CHECK(split("a\nb\r\n\nc", {7}, 10) == std::vector<std::string>{"a", "b", "", "c"});
    CHECK(split("a\rb\r\r\n", {6}, 10) == std::vector<std::string>{"a\rb\r"});
    CHECK(split("", {}, 10).empty());
}

TEST_CASE("a line of the limit's length is whole with either end, and one byte more is overlong") {
    CHECK(split("12345\n1\n", {8}, 5) == std::vector<std::string>{"12345", "1"});
    CHECK(split("12345\r\n1\n", {6, 9}, 5) == std::vector<std::string>{"12345", "1"});
    CHECK(split("123456\n1\n", {9}, 5) == std::vector<std::string>{overlong, "1"});
    CHECK(split("12345\r6\n1\n", {6, 10}, 5) == std::vector<std::string>{overlong, "1"});
}

TEST_CASE("an overlong line is reported before its end has come, and only once") {
    PartialLine partial;
    LineSplitter splitter(partial, 5);
    std::string_view input = "1234567";
    CHECK(splitter.next(input)->overlong);
    CHECK(partial.discarding());
    CHECK(partial.empty());
    for (int i = 0; i < 3; ++i) {
        input = "1234567";
        CHECK_FALSE(splitter.next(input).has_value());
    }
    input = "8\nok\n";
    CHECK(splitter.next(input)->text == "ok");
    CHECK_FALSE(splitter.next(input).has_value());
}

TEST_CASE("a partial line holds no memory once it has been given out") {
    PartialLine partial;
    {
        LineSplitter splitter(partial, 50);
        std::string_view input = "begin";
        CHECK_FALSE(splitter.next(input).has_value());
        CHECK(partial.text() == "begin");
    }
    {
        LineSplitter splitter(partial, 50);
        std::string_view input = " end\n";
        CHECK(splitter.next(input)->text == "begin end");
    }
    CHECK(partial.empty());
}

TEST_CASE("lines come out the same however the bytes are cut") {
    std::mt19937 random(7);
    for (int round = 0; round < 20'000; ++round) {
        std::string stream;
        for (auto size = random() % 60; size > 0; --size) stream += "ab\n\r\n"[random() % 5];
        std::vector<std::size_t> cuts;
        for (std::size_t at = 0; at < stream.size();) {
            at = std::min<std::size_t>(stream.size(), at + 1 + random() % 9);
            cuts.push_back(at);
        }
        const std::size_t limit = 1 + random() % 8;
        CAPTURE(stream);
        REQUIRE(split(stream, cuts, limit) == naive(stream, limit));
    }
}

}  // namespace confab::chat
