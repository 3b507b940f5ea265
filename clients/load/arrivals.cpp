#include "clients/load/arrivals.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace confab::load {

double RateProfile::rate_at(double seconds) const {
    for (const Stretch& stretch : stretches_) {
        if (seconds < stretch.seconds)
            return stretch.from + (stretch.to - stretch.from) * seconds / stretch.seconds;
        seconds -= stretch.seconds;
    }
    return stretches_.back().to;
}

double RateProfile::when(double messages) const {
    double begun = 0;
    for (const Stretch& stretch : stretches_) {
        const double in_all = stretch.seconds * (stretch.from + stretch.to) / 2;
        if (messages <= in_all && in_all > 0) {
            // from*t + slope*t*t/2 = messages, solved in the form that also holds for a slope of zero.
            const double slope = (stretch.to - stretch.from) / stretch.seconds;
            const double root = std::sqrt(std::max(stretch.from * stretch.from + 2 * slope * messages, 0.0));
            const double divisor = stretch.from + root;
            return begun + (divisor > 0 ? 2 * messages / divisor : 0);
        }
        messages -= in_all;
        begun += stretch.seconds;
    }
    const double last = stretches_.back().to;
    return last > 0 ? begun + messages / last : std::numeric_limits<double>::infinity();
}

Arrivals::Arrivals(RateProfile profile, Spacing spacing, Share share, std::uint64_t seed)
    : profile_(std::move(profile)), spacing_(spacing), share_(share), random_(seed + share.index) {}

void Arrivals::begin(Instant start) {
    start_ = start;
    messages_ =
        spacing_ == Spacing::even ? static_cast<double>(share_.index) - static_cast<double>(share_.of) : 0;
    pop();
}

void Arrivals::change_rate(Instant now, double rate) {
    profile_ = RateProfile(rate);
    begin(now);
}

double Arrivals::step() {
    const auto workers = static_cast<double>(share_.of);
    return spacing_ == Spacing::even ? workers : std::exponential_distribution<double>(1 / workers)(random_);
}

void Arrivals::pop() {
    messages_ += step();
    const double seconds = profile_.when(messages_);
    constexpr double longest = 1e9;  // that is never, and fits an Instant
    next_ = seconds < longest
                ? start_ + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds))
                : never;
}

}  // namespace confab::load
