#include "tests/system/member.hpp"

#include "tests/system/failure.hpp"

namespace confab::system_tests {
namespace {

// No marker is used twice, whoever takes lines up to it.
std::string next_marker() {
    static int count = 0;
    return "marker-" + std::to_string(++count);
}

}  // namespace

Member::Member(const std::string& address, std::string_view nick, ClientOptions options, Where where)
    : Client(address, options, where), nick_(nick) {
    send_line("/nick " + nick_, where);
    expect_line_with("* welcome", {}, where);
    for (const std::string& line : lines_until_pong(next_marker(), where)) {
        if (line.starts_with("! ")) fail(nick_ + " is refused: " + line, where);
    }
}

void Member::join(std::string_view room, Where where) {
    for (const std::string& line : ask("/join " + std::string(room), where)) {
        if (line.starts_with("! ")) fail(nick_ + " cannot join " + std::string(room) + ": " + line, where);
    }
}

std::string Member::expect_refusal(std::string_view line, Where where) {
    send_line(line, where);
    std::string answer = expect_line_with("! ", {}, where);
    expect_silence_until(next_marker(), where);
    return answer;
}

std::vector<std::string> Member::ask(std::string_view command, Where where) {
    send_line(command, where);
    return lines_until_pong(next_marker(), where);
}

void settle(std::initializer_list<Member*> members, std::string_view room, std::source_location where) {
    Member& first = **members.begin();
    Member& last = **(members.end() - 1);
    const auto said_by = [room](const Member& member, const std::string& text) {
        return "[" + std::string(room) + "] " + member.nick() + ": " + text;
    };
    const std::string by_last = next_marker();
    last.say(by_last, where);
    for (Member* member : members) {
        if (member != &last) member->lines_until(said_by(last, by_last), where);
    }
    const std::string by_first = next_marker();
    first.say(by_first, where);
    for (Member* member : members) {
        if (member != &first) member->lines_until(said_by(first, by_first), where);
    }
}

}  // namespace confab::system_tests
