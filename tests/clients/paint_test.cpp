#include "clients/paint.hpp"

#include <doctest/doctest.h>

using namespace confab;

namespace {

// The text as it is read: without the colours.
std::string seen(std::string_view painted) {
    std::string text;
    for (std::size_t i = 0; i < painted.size(); ++i) {
        if (painted[i] == '\033') {
            i = painted.find('m', i);
        } else {
            text += painted[i];
        }
    }
    return text;
}

}  // namespace

TEST_CASE("painting changes no character of a line") {
    for (const std::string_view line :
         {"[lobby] ann: hello: world", "[ann -> you] psst", "* ann joined lobby", "! no such room", "plain",
          "[", "[]", "[lobby]", "[lobby] ", "[lobby] no colon", "", "[a] b: "}) {
        CAPTURE(line);
        CHECK(seen(paint(line)) == line);
    }
}

TEST_CASE("a nick has the same colour in every room") {
    const std::string in_lobby = paint("[lobby] ann: x");
    const std::string in_tea = paint("[tea] ann: x");
    CHECK(in_lobby.substr(in_lobby.find("] ")) == in_tea.substr(in_tea.find("] ")));
}

TEST_CASE("control characters cannot write on the reader's screen") {
    CHECK(seen(paint("[lobby] eve: \x1b[2Jgone\a")) == "[lobby] eve: ?[2Jgone?");
}
