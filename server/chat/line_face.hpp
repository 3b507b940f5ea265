// Public: the chat's events as lines of text (docs/protocol.md).
#pragma once

#include <string>
#include <string_view>

#include "server/chat/face.hpp"

namespace confab::chat {

class LineFace final : public Face {
  public:
    SharedBytes encode(const Entry& entry, std::string_view room, Arena& arena) const override;
    SharedBytes encode(const Notice& notice) const override;
};

/// The one there is.
const LineFace& line_face();

/// Appends `entry`, a message, as a line of /history.
void append_recalled(std::string& out, const Entry& entry, std::string_view room);
/// "epoch/seq", the epoch with the digits 0-9a-z.
void append_position(std::string& out, const Position& position);

}  // namespace confab::chat
