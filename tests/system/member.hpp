// Internal to tests: a client that takes part in the chat.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "tests/system/client.hpp"

namespace confab::system_tests {

// Greeted, and named, when constructed: nothing is on the way to it but what others cause.
class Member : public Client {
  public:
    Member(const std::string& address, std::string_view nick, ClientOptions options = {},
           Where where = Where::current());

    const std::string& nick() const { return nick_; }

    // Says it in the current room.
    void say(std::string_view text, Where where = Where::current()) { send_line(text, where); }

    // Moves to the room; the answers are taken.
    void join(std::string_view room, Where where = Where::current());

    // Sends a line that must be refused: one error line, and nothing else.
    std::string expect_refusal(std::string_view line, Where where = Where::current());

    // Sends a command; the lines of its answer.
    std::vector<std::string> ask(std::string_view command, Where where = Where::current());

  private:
    std::string nick_;
};

// For members whose current room is this one: takes all that was on the way to any of them. A room has one
// order, so who has got the last word said in it has got all that came before.
void settle(std::initializer_list<Member*> members, std::string_view room = "lobby",
            std::source_location where = std::source_location::current());

}  // namespace confab::system_tests
