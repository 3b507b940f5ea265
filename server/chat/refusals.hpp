// Public: why something was not done, in words and for programs. All faces say the same.
#pragma once

#include <string>
#include <string_view>

#include "server/chat/chat.hpp"
#include "server/chat/limits.hpp"
#include "server/chat/names.hpp"
#include "server/chat/text.hpp"

namespace confab::chat {

/// A sentence without its end. `what`: the name that it is about. Requires: not `behind`.
std::string words(Refusal refusal, std::string_view what, const Limits& limits);
/// `what`: "nick" or "room". Requires: not `none`.
std::string words(NameFault fault, std::string_view what, std::string_view name, const Limits& limits);
/// A word for programs: "nick_taken". Requires: not `behind`.
std::string_view code(Refusal refusal);

}  // namespace confab::chat
