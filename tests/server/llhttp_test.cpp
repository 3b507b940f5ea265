// Pins what the server relies on in llhttp, whose version differs between systems.
#include <doctest/doctest.h>
#include <llhttp.h>

#include <cstddef>
#include <string>
#include <string_view>

namespace {

struct Request {
    std::string target;
    bool complete = false;
};

int append_target(llhttp_t* parser, const char* bytes, std::size_t length) {
    static_cast<Request*>(parser->data)->target.append(bytes, length);
    return 0;
}

int mark_complete(llhttp_t* parser) {
    static_cast<Request*>(parser->data)->complete = true;
    return 0;
}

class Parser {
  public:
    Parser() {
        llhttp_settings_init(&settings_);
        settings_.on_url = append_target;
        settings_.on_message_complete = mark_complete;
        llhttp_init(&parser_, HTTP_REQUEST, &settings_);
        parser_.data = &request;
    }
    llhttp_errno_t feed(std::string_view bytes) {
        return llhttp_execute(&parser_, bytes.data(), bytes.size());
    }
    int method() const { return parser_.method; }
    bool upgrade() const { return parser_.upgrade != 0; }

    Request request;

  private:
    llhttp_settings_t settings_{};
    llhttp_t parser_{};
};

}  // namespace

TEST_CASE("llhttp parses a request that arrives one byte at a time") {
    Parser parser;
    for (const char byte : std::string_view{"GET /api/rooms HTTP/1.1\r\nHost: here\r\n\r\n"}) {
        REQUIRE_FALSE(parser.request.complete);
        REQUIRE(parser.feed({&byte, 1}) == HPE_OK);
    }
    CHECK(parser.request.complete);
    CHECK(parser.method() == HTTP_GET);
    CHECK(parser.request.target == "/api/rooms");
}

TEST_CASE("llhttp pauses at an upgrade") {
    Parser parser;
    const llhttp_errno_t result =
        parser.feed("GET /ws HTTP/1.1\r\nHost: here\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    CHECK(result == HPE_PAUSED_UPGRADE);
    CHECK(parser.upgrade());
}

TEST_CASE("llhttp refuses what is not a request") {
    Parser parser;
    CHECK(parser.feed("hello everybody\r\n") == HPE_INVALID_METHOD);
}
