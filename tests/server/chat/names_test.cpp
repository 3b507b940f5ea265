#include "server/chat/names.hpp"

#include <doctest/doctest.h>

#include <string>

namespace confab::chat {

TEST_CASE("names are letters, digits, dash, underscore and dot of any script") {
    for (const std::string_view name : {"anna", "Anna-2", "a_b.c", "7", "Žofie", "李雷", "мария", "emoji🙂",
                                        "guest", "guest-", "guest-x", "my-guest-1"}) {
        CAPTURE(name);
        CHECK(check_nick(name, 32) == NameFault::none);
        CHECK(check_room_name(name, 32) == NameFault::none);
    }
}

TEST_CASE("names with white space, punctuation of the protocol or invisible characters are refused") {
    for (const std::string_view name :
         {"a b",      "a:",      "[a",     "a]",      "*",       "a*",    "!",        "/a",
          "a,b",      "a@b",     "#a",     "a\"b",    "a\tb",    "a\x7F", "a\u00A0b", "a\u200Bb",
          "a\u202Eb", "a\u2028", "\uFEFF", "a\u3000", "a\uFFFE", "\xFF",  "a\xC3"}) {
        CAPTURE(name);
        CHECK(check_nick(name, 32) == NameFault::bad_character);
        CHECK(check_room_name(name, 32) == NameFault::bad_character);
    }
}

TEST_CASE("names have a length in bytes") {
    CHECK(check_nick("", 32) == NameFault::empty);
    CHECK(check_nick(std::string(32, 'x'), 32) == NameFault::none);
    CHECK(check_nick(std::string(33, 'x'), 32) == NameFault::too_long);
    CHECK(check_nick("李李李", 9) == NameFault::none);
    CHECK(check_nick("李李李", 8) == NameFault::too_long);
}

TEST_CASE("the names of guests are reserved, in any case, for nicks only") {
    CHECK(check_nick("guest-1", 32) == NameFault::reserved);
    CHECK(check_nick("Guest-123456", 32) == NameFault::reserved);
    CHECK(check_room_name("guest-1", 32) == NameFault::none);
}

TEST_CASE("names that differ in the case of ASCII letters are the same") {
    CHECK(same_name("Anna", "aNNA"));
    CHECK_FALSE(same_name("anna", "anna1"));
    CHECK_FALSE(same_name("ann", "anna"));
    CHECK_FALSE(same_name("Ž", "ž"));
    CHECK(name_hash("Anna") == name_hash("aNNA"));
    CHECK(name_hash("anna") != name_hash("annb"));
    CHECK(Name("anna").view() == "anna");
    CHECK(Name().view().empty());
}

}  // namespace confab::chat
