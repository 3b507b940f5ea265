#include "server/chat/session_state.hpp"

#include <cstddef>

#include "pools/serialise.hpp"

namespace confab::chat {

std::string SessionState::write() const {
    const std::vector<std::byte> bytes = to_bytes(*this);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

SessionState SessionState::read(std::string_view text) {
    return from_bytes<SessionState>(std::as_bytes(std::span(text)));
}

}  // namespace confab::chat
