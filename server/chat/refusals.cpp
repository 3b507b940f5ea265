#include "server/chat/refusals.hpp"

#include <utility>

namespace confab::chat {

namespace {

template <class... Parts>
std::string sentence(const Parts&... parts) {
    std::string text;
    (text.append(parts), ...);
    return text;
}

}  // namespace

std::string words(Refusal refusal, std::string_view what, const Limits& limits) {
    switch (refusal) {
        case Refusal::nick_taken:
            return sentence("the nick ", what, " is taken");
        case Refusal::no_such_member:
            return sentence("there is nobody called ", what);
        case Refusal::no_such_room:
            return sentence("there is no room ", what);
        case Refusal::in_no_room:
            return "you are in no room: /join one first";
        case Refusal::not_in_room:
            return sentence("you are not in ", what);
        case Refusal::too_many_rooms:
            return sentence("you are in ", std::to_string(limits.rooms_per_member),
                            " rooms already: /part one first");
        case Refusal::too_many_rooms_in_all:
            return "there are too many rooms: join one of them";
        case Refusal::too_many_members:
            return "the chat is full: come back later";
        case Refusal::topic_too_long:
            return sentence("topic too long: ", std::to_string(limits.topic_length), " bytes at most");
        case Refusal::behind:
            break;
    }
    std::unreachable();
}

std::string words(NameFault fault, std::string_view what, std::string_view name, const Limits& limits) {
    switch (fault) {
        case NameFault::empty:
            return sentence("which ", what, "?");
        case NameFault::too_long:
            return sentence(what, " too long: ", std::to_string(limits.name_length), " bytes at most");
        case NameFault::bad_character:
            return sentence("no good as a ", what, ": letters, digits, - _ and . only, and no spaces");
        case NameFault::reserved:
            return sentence(name, " is the name of a guest: pick another one");
        case NameFault::none:
            break;
    }
    std::unreachable();
}

std::string_view code(Refusal refusal) {
    switch (refusal) {
        case Refusal::nick_taken:
            return "nick_taken";
        case Refusal::no_such_member:
            return "no_such_member";
        case Refusal::no_such_room:
            return "no_such_room";
        case Refusal::in_no_room:
        case Refusal::not_in_room:
            return "not_in_room";
        case Refusal::too_many_rooms:
            return "too_many_rooms";
        case Refusal::too_many_rooms_in_all:
            return "too_many_rooms_in_all";
        case Refusal::too_many_members:
            return "too_many_members";
        case Refusal::topic_too_long:
            return "too_long";
        case Refusal::behind:
            break;
    }
    std::unreachable();
}

}  // namespace confab::chat
