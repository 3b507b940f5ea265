// Public: the chat's events as chat.v1: JSON in WebSocket frames (docs/protocol.md).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "server/chat/face.hpp"

namespace confab::chat {

class JsonFace final : public Face {
  public:
    /// `compressed`: messages are, one by one, where that makes them shorter (RFC 7692).
    explicit JsonFace(bool compressed) : compressed_(compressed) {}

    SharedBytes encode(const Entry& entry, std::string_view room, Arena& arena) const override;
    SharedBytes encode(const Notice& notice) const override;

    /// A message of the server as a frame.
    std::string frame(std::string_view json) const;

  private:
    const bool compressed_;
};

/// The two there are.
const JsonFace& json_face(bool compressed);

/// Appends `entry`, a message, as an object of JSON.
void append_json(std::string& out, const Entry& entry, std::string_view room);

/// What chat.v1 adds to the close codes of WebSocket. From 4000 on the client should come back, from 4500 on
/// it should not.
namespace chat_close {
inline constexpr std::uint16_t too_slow = 4000;
inline constexpr std::uint16_t silent = 4001;
}  // namespace chat_close

}  // namespace confab::chat
