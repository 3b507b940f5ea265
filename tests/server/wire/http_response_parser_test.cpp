#include "server/wire/http_response_parser.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

using namespace confab::wire;

namespace {

const HttpLimits usual;

struct Seen {
    unsigned status;
    std::uint64_t size;
    std::uint64_t digest;
    friend bool operator==(const Seen&, const Seen&) = default;
};

std::uint64_t digest(std::string_view body) {
    const std::string bytes =
        "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
    HttpResponseParser parser(usual);
    std::string_view input = bytes;
    REQUIRE(parser.feed(input) == HttpProgress::complete);
    return parser.body_digest();
}

std::vector<Seen> responses(std::string_view bytes, std::size_t size) {
    HttpResponseParser parser(usual);
    std::vector<Seen> seen;
    while (!bytes.empty()) {
        std::string_view piece = bytes.substr(0, size);
        bytes.remove_prefix(piece.size());
        while (!piece.empty()) {
            const HttpProgress progress = parser.feed(piece);
            REQUIRE(progress != HttpProgress::failed);
            if (progress == HttpProgress::incomplete) break;
            seen.push_back({parser.status(), parser.body_size(), parser.body_digest()});
            parser.begin_next();
        }
    }
    CHECK_FALSE(parser.begun());
    return seen;
}

}  // namespace

TEST_CASE("a response is what was sent, however it is torn") {
    const std::string bytes =
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\nTransfer-Encoding: "
        "chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        "HTTP/1.1 304 Not Modified\r\n\r\nHTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n";
    const std::vector<Seen> sent{
        {200, 5, digest("hello")}, {404, 3, digest("abc")}, {304, 0, digest("")}, {200, 0, digest("")}};
    for (std::size_t size = 1; size <= bytes.size(); ++size) {
        CAPTURE(size);
        CHECK(responses(bytes, size) == sent);
    }
}

TEST_CASE("bodies with other bytes, or the same in another order, have other digests") {
    CHECK(digest("ab") != digest("ba"));
    CHECK(digest("ab") != digest("abc"));
    CHECK(digest("ab") == digest("ab"));
}

TEST_CASE("a body without a length ends with the stream") {
    HttpResponseParser parser(usual);
    std::string_view input = "HTTP/1.1 200 OK\r\n\r\nuntil the end";
    CHECK(parser.feed(input) == HttpProgress::incomplete);
    CHECK(parser.finish() == HttpProgress::complete);
    CHECK(parser.body_size() == 13);
    CHECK_FALSE(parser.keep_alive());
}

TEST_CASE("a stream that ends within a response cuts it off, and before one it does not") {
    HttpResponseParser parser(usual);
    CHECK(parser.finish() == HttpProgress::incomplete);
    std::string_view input = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel";
    CHECK(parser.feed(input) == HttpProgress::incomplete);
    CHECK(parser.begun());
    CHECK(parser.finish() == HttpProgress::failed);
}

TEST_CASE("the response to a HEAD has no body, whatever it says") {
    HttpResponseParser parser(usual);
    parser.expect_no_body();
    std::string_view input =
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    CHECK(parser.feed(input) == HttpProgress::complete);
    parser.begin_next();
    CHECK(parser.feed(input) == HttpProgress::complete);
    CHECK(parser.body_size() == 2);
}

TEST_CASE("the last response on a connection is known as such") {
    const auto goes_on = [](std::string_view bytes) {
        HttpResponseParser parser(usual);
        REQUIRE(parser.feed(bytes) == HttpProgress::complete);
        return parser.keep_alive();
    };
    CHECK(goes_on("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
    CHECK_FALSE(goes_on("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"));
    CHECK_FALSE(goes_on("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"));
    CHECK_FALSE(goes_on("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"));
}

TEST_CASE("what is no response, or has a head without end, is refused") {
    const auto progress = [](std::string_view bytes, const HttpLimits& limits) {
        HttpResponseParser parser(limits);
        return parser.feed(bytes);
    };
    CHECK(progress("* welcome to confab\n", usual) == HttpProgress::failed);
    CHECK(progress("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", usual) == HttpProgress::failed);
    const HttpLimits limits{.head = 100};
    CHECK(progress("HTTP/1.1 200 OK\r\nFiller: " + std::string(100, 'x'), limits) == HttpProgress::failed);
    CHECK(progress("HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n" + std::string(200, 'x'), limits) ==
          HttpProgress::complete);
}
