#include "server/chat/json_request.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace confab::chat;

namespace {

bool is_refused(std::string_view text) {
    JsonRequest request;
    return !request.read(text).empty();
}

}  // namespace

TEST_CASE("a request is one flat object, and what it does not know in it is skipped") {
    JsonRequest request;
    CHECK(request.read(R"( {"type":"join","id":"7","room":"tea","epoch":"k3","seq":18446744073709551615,)"
                       R"("count":0,"nick":"a\u00fc","text":"\"\\\/","more":1.5,"null":null,"yes":true} )") ==
          "");
    CHECK(request.type == "join");
    CHECK(request.id == "7");
    CHECK(request.room == "tea");
    CHECK(request.epoch == "k3");
    CHECK(request.seq == 18446744073709551615U);
    CHECK(request.count == 0U);
    CHECK(request.nick == "a\xC3\xBC");
    CHECK(request.text == "\"\\/");
}

TEST_CASE("what is no flat object is refused, whatever is in it") {
    for (const char* const bad :
         {"", "{", "null", "1", "\"type\"", "[]", "[{}]", R"({"type":{}})", R"({"more":[]})",
          R"({"more":{"type":"x"}})", R"({"type":"ping"}x)", R"({"type":"ping"}{})", R"({"type":"pi)",
          R"({'type':'ping'})", R"({"text":"\ud800"})", R"({"seq":1e9999})"})
        CHECK(is_refused(bad));
    CHECK(is_refused(std::string(100'000, '[')));
}

TEST_CASE("members have the kind of value that they are documented to have") {
    for (const char* const bad : {R"({"type":1})", R"({"text":true})", R"({"seq":"1"})", R"({"seq":-1})",
                                  R"({"seq":1.5})", R"({"count":true})", R"({"epoch":1})"}) {
        CAPTURE(bad);
        const bool refused = is_refused(bad);
        CHECK(refused);
    }
    CHECK_FALSE(is_refused(R"({"type":null})"));
}

TEST_CASE("an id is short and has no control characters, since it comes back as it is") {
    CHECK_FALSE(is_refused(R"({"id":")" + std::string(64, 'i') + "\"}"));
    CHECK(is_refused(R"({"id":")" + std::string(65, 'i') + "\"}"));
    CHECK(is_refused(R"({"id":"a\nb"})"));
}
