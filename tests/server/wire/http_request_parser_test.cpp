#include "server/wire/http_request_parser.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

using namespace confab::wire;

namespace {

const HttpLimits usual;

std::string request(std::string_view line, std::string_view headers = {}) {
    return std::string(line) + "\r\nHost: here\r\n" + std::string(headers) + "\r\n";
}

/// The status that `bytes` are refused with; 0 when they are not.
unsigned refusal(std::string_view bytes, const HttpLimits& limits = usual) {
    HttpRequestParser parser(limits);
    return parser.feed(bytes) == HttpProgress::failed ? parser.fault() : 0;
}

/// The targets of all requests in `bytes`, which come in pieces of `size`.
std::vector<std::string> targets(std::string_view bytes, std::size_t size) {
    HttpRequestParser parser(usual);
    std::vector<std::string> seen;
    while (!bytes.empty()) {
        std::string_view piece = bytes.substr(0, size);
        bytes.remove_prefix(piece.size());
        while (!piece.empty()) {
            const HttpProgress progress = parser.feed(piece);
            REQUIRE(progress != HttpProgress::failed);
            if (progress == HttpProgress::incomplete) break;
            seen.emplace_back(std::string(parser.target()) + '|' + std::string(parser.body()));
            parser.begin_next();
        }
    }
    CHECK_FALSE(parser.begun());
    return seen;
}

}  // namespace

TEST_CASE("a request is what was sent, however it is torn") {
    const std::string bytes =
        request("GET /a?b=c HTTP/1.1") + request("POST /post HTTP/1.1", "Content-Length: 5\r\n") + "hello" +
        request("PUT /chunks HTTP/1.1", "Transfer-Encoding: chunked\r\n") +
        "3\r\nabc\r\n2;why=not\r\nde\r\n0\r\nTrailer: x\r\n\r\n" + request("GET /last HTTP/1.1");
    const std::vector<std::string> sent{"/a?b=c|", "/post|hello", "/chunks|abcde", "/last|"};
    for (std::size_t size = 1; size <= bytes.size(); ++size) {
        CAPTURE(size);
        CHECK(targets(bytes, size) == sent);
    }
}

TEST_CASE("what comes behind a request stays in the input, an upgrade included") {
    HttpRequestParser parser(usual);
    const std::string bytes =
        request("GET /ws HTTP/1.1", "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n") +
        "\x81\x80more";
    std::string_view input = bytes;
    CHECK(parser.feed(input) == HttpProgress::complete);
    CHECK(input == "\x81\x80more");
    CHECK(parser.has_token("connection", "upgrade"));
    CHECK(parser.has_token("upgrade", "websocket"));
    CHECK_FALSE(parser.has_token("connection", "up"));
}

TEST_CASE("headers are found whatever their case, without the white space around their values") {
    HttpRequestParser parser(usual);
    const std::string bytes =
        request("HEAD / HTTP/1.1", "X-One:  a b \t\r\nx-list: a,b\r\nX-List: , c\r\nX-Empty:\r\n");
    std::string_view input = bytes;
    REQUIRE(parser.feed(input) == HttpProgress::complete);
    CHECK(parser.method() == HttpMethod::head);
    CHECK(parser.header("x-ONE") == "a b");
    CHECK(parser.header("X-Empty") == "");
    CHECK(parser.header("X-None") == std::nullopt);
    CHECK(parser.count("X-List") == 2);
    CHECK(parser.has_token("X-List", "C"));
    CHECK_FALSE(parser.has_token("X-List", ""));
}

TEST_CASE("a connection goes on as the version and the Connection header have it") {
    const auto goes_on = [](std::string_view line, std::string_view headers) {
        HttpRequestParser parser(usual);
        const std::string bytes = request(line, headers);
        std::string_view input = bytes;
        REQUIRE(parser.feed(input) == HttpProgress::complete);
        return parser.keep_alive();
    };
    CHECK(goes_on("GET / HTTP/1.1", ""));
    CHECK_FALSE(goes_on("GET / HTTP/1.1", "Connection: close\r\n"));
    CHECK_FALSE(goes_on("GET / HTTP/1.0", ""));
    CHECK(goes_on("GET / HTTP/1.0", "Connection: keep-alive\r\n"));
}

TEST_CASE("who waits for a sign before he sends the body is known, once") {
    HttpRequestParser parser(usual);
    std::string bytes = request("POST / HTTP/1.1", "Expect: 100-continue\r\nContent-Length: 2\r\n");
    std::string_view input = bytes;
    CHECK(parser.feed(input) == HttpProgress::incomplete);
    CHECK(parser.take_awaits_continue());
    CHECK_FALSE(parser.take_awaits_continue());
    input = "ok";
    CHECK(parser.feed(input) == HttpProgress::complete);
    CHECK(parser.body() == "ok");
}

TEST_CASE("what is no request is refused") {
    CHECK(refusal("hello everybody\r\n") == 400);
    CHECK(refusal("GET  / HTTP/1.1\r\n\r\n") == 400);
    CHECK(refusal(request("GET / HTTP/1.1", "No colon\r\n")) == 400);
    CHECK(refusal(request("GET / HTTP/1.1", "Content-Length: -1\r\n")) == 400);
    CHECK(refusal(request("GET / HTTP/1.1", "Content-Length: 1\r\nContent-Length: 1\r\n")) == 400);
    CHECK(refusal(request("POST / HTTP/1.1", "Transfer-Encoding: gzip\r\n")) == 400);
    CHECK(refusal("GET / HTTP/1.1\r\n\r\n") == 400);
    CHECK(refusal(request("GET / HTTP/1.1", "Host: there\r\n")) == 400);
}

TEST_CASE("what two readers could understand differently is refused") {
    CHECK(refusal(request("POST / HTTP/1.1", "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n") +
                  "0\r\n\r\n") == 400);
    CHECK(refusal(request("POST / HTTP/1.1", "Transfer-Encoding: chunked, identity\r\n") + "0\r\n\r\n") ==
          400);
    CHECK(refusal(request("POST / HTTP/1.1", "Transfer-Encoding: chunked\r\n") + "xyz\r\n") == 400);
    CHECK(refusal(request("GET / HTTP/1.1", "Name : value\r\n")) == 400);
}

TEST_CASE("versions and methods that we do not speak are refused by name") {
    CHECK(refusal("GET / HTTP/2.0\r\nHost: here\r\n\r\n") == 505);
    CHECK(refusal("GET / HTTP/3.7\r\nHost: here\r\n\r\n") == 505);
    CHECK(refusal("CONNECT there:80 HTTP/1.1\r\nHost: there:80\r\n\r\n") == 501);
}

TEST_CASE("a head is taken up to its bounds, and not a byte further") {
    const HttpLimits limits{.head = 200, .target = 20, .fields = 3, .body = 10};
    const auto with_head = [](std::size_t size) {
        std::string bytes = request("GET / HTTP/1.1", "Filler: \r\n");
        bytes.insert(bytes.size() - 4, size - bytes.size(), 'x');
        return bytes;
    };
    CHECK(refusal(with_head(200), limits) == 0);
    CHECK(refusal(with_head(201), limits) == 431);
    CHECK(refusal("GET /" + std::string(19, 'x') + " HTTP/1.1\r\n", limits) == 0);
    CHECK(refusal("GET /" + std::string(20, 'x') + " HTTP/1.1\r\n", limits) == 414);
    CHECK(refusal(request("GET / HTTP/1.1", "A: 1\r\nB: 2\r\n"), limits) == 0);
    CHECK(refusal(request("GET / HTTP/1.1", "A: 1\r\nB: 2\r\nC: 3\r\n"), limits) == 431);
    CHECK(refusal(std::string(300, '\n'), limits) == 431);
}

TEST_CASE("a body is taken up to its bound, announced or in chunks") {
    const HttpLimits limits{.body = 10};
    CHECK(refusal(request("POST / HTTP/1.1", "Content-Length: 10\r\n") + "0123456789", limits) == 0);
    CHECK(refusal(request("POST / HTTP/1.1", "Content-Length: 11\r\n"), limits) == 413);
    const std::string chunked = request("POST / HTTP/1.1", "Transfer-Encoding: chunked\r\n");
    CHECK(refusal(chunked + "a\r\n0123456789\r\n0\r\n\r\n", limits) == 0);
    CHECK(refusal(chunked + "b\r\n0123456789x\r\n0\r\n\r\n", limits) == 413);
    HttpRequestParser parser(limits);
    std::string_view head = chunked;
    CHECK(parser.feed(head) == HttpProgress::incomplete);
    const std::string remark = "1;" + std::string(5000, 'x');
    std::string_view rest = remark;
    CHECK(parser.feed(rest) == HttpProgress::failed);
    CHECK(parser.fault() == 413);
}
