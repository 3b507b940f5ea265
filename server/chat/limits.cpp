#include "server/chat/limits.hpp"

#include "server/chat/names.hpp"

namespace confab::chat {

std::string Limits::fault() const {
    if (line_length < 64 || line_length > 1024 * 1024) return "a line has 64 to 1048576 bytes";
    if (name_length < 9 || name_length > Name::capacity) return "a nick has 9 to 32 bytes";
    if (bytes_queued < 4 * line_length) return "at least four lines' bytes are queued for a member";
    if (rooms_per_member < 1 || rooms < 1) return "there is at least one room, and one a member";
    if (lines_per_second > 0 && lines_at_once < 1) return "at least one line at once";
    if (publisher_patience <= Duration::zero()) return "publishers wait for some time";
    return {};
}

}  // namespace confab::chat
