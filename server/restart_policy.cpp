#include "server/restart_policy.hpp"

#include <algorithm>

namespace confab {

void RestartPolicy::ended(End end, Clock::time_point now) {
    never_began_ = end.began ? 0 : never_began_ + 1;
    if (end.was_well) pause_ = {};
    due_ = now + std::min(pause_, longest_pause_);
    pause_ = std::clamp(pause_ * 2, shortest_pause, std::max(longest_pause_, shortest_pause));
}

void RestartPolicy::succeeded() {
    never_began_ = 0;
    pause_ = {};
}

}  // namespace confab
