#include "reactor/uring_features.hpp"

#include <algorithm>
#include <array>

namespace confab {

namespace {

constexpr std::array<std::string_view, uring_feature_count> feature_names{
    "defer_taskrun",     "coop_taskrun", "registered_ring",  "buffer_ring",  "incremental",
    "multishot_receive", "receive_cap",  "multishot_accept", "cancel_by_fd",
};

std::string not_a_feature(std::string_view word) {
    return "'" + std::string(word) + "' is no io_uring feature: all, none, or any of " +
           UringFeatures::all().names() + ", each with - in front to leave it out";
}

}  // namespace

std::string UringFeatures::names() const {
    std::string text;
    for (unsigned i = 0; i < uring_feature_count; ++i) {
        if (!has(static_cast<UringFeature>(i))) continue;
        if (!text.empty()) text += ", ";
        text += feature_names[i];
    }
    return text;
}

std::expected<UringFeatures, std::string> parse_uring_features(std::string_view text) {
    UringFeatures features = text.starts_with('-') ? UringFeatures::all() : UringFeatures{};
    while (true) {
        const std::size_t comma = text.find(',');
        const std::string_view word = text.substr(0, comma);
        const bool without = word.starts_with('-');
        const auto* const found = std::ranges::find(feature_names, word.substr(without ? 1 : 0));
        if (word == "all" || word == "none") {
            features = word == "all" ? UringFeatures::all() : UringFeatures{};
        } else if (found == feature_names.end()) {
            return std::unexpected(not_a_feature(word));
        } else if (const auto feature = static_cast<UringFeature>(found - feature_names.begin()); without) {
            features.remove(feature);
        } else {
            features.add(feature);
        }
        if (comma == std::string_view::npos) return features;
        text.remove_prefix(comma + 1);
    }
}

}  // namespace confab
