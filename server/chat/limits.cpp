#include "server/chat/limits.hpp"

#include <string_view>

#include "server/chat/names.hpp"

namespace confab::chat {

std::string Limits::fault() const {
    const auto outside = [](std::string_view name, std::size_t value, std::size_t least, std::size_t most) {
        if (value >= least && value <= most) return std::string();
        return std::string(name) + ": " + std::to_string(value) + " is not from " + std::to_string(least) +
               " to " + std::to_string(most);
    };
    constexpr std::size_t many = 1'000'000'000;
    for (const std::string& fault : {
             outside("--max-line", line_length, 64, 1024 * 1024),
             outside("--max-nick", name_length, 9, Name::capacity),
             outside("--max-queued", bytes_queued, 4 * line_length, many),
             outside("--max-connections", members, 1, 100'000'000),
             outside("--max-rooms", rooms, 1, 100'000'000),
             outside("--rooms-per-member", rooms_per_member, 1, 1000),
             outside("--announced-members", announced_members, 0, many),
             outside("--history-length", history_length, 0, many),
             outside("--rate", lines_per_second, 0, many),
             outside("--burst", lines_at_once, 1, many),
         }) {
        if (!fault.empty()) return fault;
    }
    return {};
}

}  // namespace confab::chat
