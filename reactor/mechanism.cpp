#include "reactor/mechanism.hpp"

#include <array>

namespace confab {

namespace {

constexpr std::array<std::string_view, 7> names{"blocking", "busy",  "select",   "poll",
                                                "epoll",    "uring", "simulated"};

}  // namespace

std::string_view name(Waiting waiting) { return names[static_cast<std::size_t>(waiting)]; }

std::optional<Waiting> waiting_named(std::string_view word) {
    for (std::size_t i = 0; i < names.size(); ++i) {
        const auto waiting = static_cast<Waiting>(i);
        if (names[i] == word && waiting != Waiting::simulated) return waiting;
    }
    return std::nullopt;
}

}  // namespace confab
