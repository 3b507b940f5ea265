#include "server/chat/opening.hpp"

#include <doctest/doctest.h>

using namespace confab::chat;

TEST_CASE(
    "who begins with a method and a target speaks HTTP, of any other beginning it is the line protocol") {
    for (const char* const http : {"GET / HTTP/1.1\r\n", "GET /", "HEAD /x", "POST /api", "OPTIONS *",
                                   "GET http://a/", "DELETE /", "PUT /", "PATCH /", "TRACE /"})
        CHECK(who_speaks(http) == Speaks::http);
    for (const char* const line : {"\n", "hello", "/nick anna\n", "GETTING there", "GET\n", "GET well soon",
                                   "get /", "G\n", "HEADS up", "POST\r\n", "\x16\x03\x01"})
        CHECK(who_speaks(line) == Speaks::line);
}

TEST_CASE("as long as it may become a method nobody can say what is spoken") {
    for (const char* const beginning : {"", "G", "GE", "GET", "GET ", "P", "OPTIONS", "CONNECT "})
        CHECK(who_speaks(beginning) == Speaks::unknown);
}
