// Internal to clients: colours for the lines of the chat.
#pragma once

#include <string>
#include <string_view>

namespace confab {

/// `line` as it comes from the server, with terminal colours (ECMA-48 SGR): each nick has one of its own, the
/// same everywhere; information is dim, errors are red. Control characters, which no server should send, are
/// shown as
/// '?', so that nobody can write on a reader's screen.
std::string paint(std::string_view line);

}  // namespace confab
