#include "clients/load/arrivals.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

namespace confab::load {

namespace {

// Takes a number, not negative, off the front. False: there is none.
bool take_number(std::string_view& text, double& number) {
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || number < 0 || number > 1e9) return false;
    text.remove_prefix(static_cast<std::size_t>(rest - text.data()));
    return true;
}

bool take(std::string_view& text, char separator) {
    if (!text.starts_with(separator)) return false;
    text.remove_prefix(1);
    return true;
}

}  // namespace

std::expected<RateProfile, std::string> RateProfile::parse(std::string_view text) {
    std::vector<Stretch> stretches;
    do {
        Stretch stretch{};
        if (!take_number(text, stretch.seconds) || stretch.seconds == 0 || !take(text, ':') ||
            !take_number(text, stretch.from))
            break;
        stretch.to = stretch.from;
        if (take(text, '-') && !take_number(text, stretch.to)) break;
        stretches.push_back(stretch);
        if (text.empty()) return RateProfile(std::move(stretches));
    } while (take(text, ','));
    return std::unexpected("a profile is like 10:0-5000,30:5000,1:20000 (seconds:rate or seconds:rate-rate)");
}

double RateProfile::seconds() const {
    double sum = 0;
    for (const Stretch& stretch : stretches_) sum += stretch.seconds;
    return sum;
}

bool RateProfile::is_constant() const {
    const double rate = stretches_.front().from;
    return std::ranges::all_of(
        stretches_, [rate](const Stretch& stretch) { return stretch.from == rate && stretch.to == rate; });
}

RateProfile RateProfile::after_warmup(double warmup_seconds) const {
    std::vector<Stretch> stretches = stretches_;
    const double first = stretches.front().from;
    stretches.insert(stretches.begin(), {.seconds = warmup_seconds, .from = first, .to = first});
    return RateProfile(std::move(stretches));
}

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
