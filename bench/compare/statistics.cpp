#include "bench/compare/statistics.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <random>
#include <vector>

namespace confab::compare {

namespace {

constexpr int draws = 2000;
constexpr double outside = 0.025;  // of the draws, on either side of the interval
constexpr double nothing = std::numeric_limits<double>::quiet_NaN();

// Reorders them. Requires: not empty.
double median_in_place(std::span<double> values) {
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::ranges::nth_element(values, middle);
    if (values.size() % 2 == 1) return *middle;
    return (*middle + *std::max_element(values.begin(), middle)) / 2;
}

// The medians of what other runs might have shown.
std::vector<double> drawn_medians(std::span<const double> values, std::mt19937_64& random) {
    std::uniform_int_distribution<std::size_t> pick(0, values.size() - 1);
    std::vector<double> drawn(values.size()), medians;
    for (int i = 0; i < draws; ++i) {
        for (double& value : drawn) value = values[pick(random)];
        medians.push_back(median_in_place(drawn));
    }
    return medians;
}

// The middle 95 % of what was drawn.
Interval middle_of(std::vector<double>& drawn, double value, std::size_t samples) {
    std::ranges::sort(drawn);
    const auto at = [&](double share) { return drawn[static_cast<std::size_t>(share * (draws - 1))]; };
    return {.value = value, .low = at(outside), .high = at(1 - outside), .samples = samples};
}

}  // namespace

double median(std::span<const double> values) {
    if (values.empty()) return nothing;
    std::vector<double> copy(values.begin(), values.end());
    return median_in_place(copy);
}

Interval median_interval(std::span<const double> values, std::uint64_t seed) {
    if (values.empty()) return {.value = nothing, .low = nothing, .high = nothing};
    std::mt19937_64 random(seed);
    std::vector<double> medians = drawn_medians(values, random);
    return middle_of(medians, median(values), values.size());
}

Interval ratio_of_medians(std::span<const double> values, std::span<const double> others,
                          std::uint64_t seed) {
    std::vector<double> mine, theirs;
    std::ranges::copy_if(values, std::back_inserter(mine), [](double value) { return std::isfinite(value); });
    std::ranges::copy_if(others, std::back_inserter(theirs),
                         [](double value) { return std::isfinite(value); });
    if (mine.empty() || theirs.empty()) return {.value = nothing, .low = nothing, .high = nothing};
    std::mt19937_64 random(seed);
    const std::vector<double> my_medians = drawn_medians(mine, random),
                              their_medians = drawn_medians(theirs, random);
    std::vector<double> drawn;
    for (std::size_t i = 0; i < my_medians.size(); ++i) drawn.push_back(my_medians[i] / their_medians[i]);
    return middle_of(drawn, median(mine) / median(theirs), std::min(mine.size(), theirs.size()));
}

std::size_t outliers(std::span<const double> values) {
    constexpr std::size_t fewest = 5;
    constexpr double limit = 3.5,
                     normal_deviation = 0.6745;  // of a normal distribution, in median deviations
    if (values.size() < fewest) return 0;
    const double middle = median(values);
    std::vector<double> deviations;
    for (const double value : values) deviations.push_back(std::abs(value - middle));
    const double deviation = median(deviations);
    return static_cast<std::size_t>(std::ranges::count_if(
        deviations, [&](double each) { return normal_deviation * each > limit * deviation; }));
}

double noise_floor(const Interval& twins) {
    if (twins.samples < fewest_pairs || !(twins.low > 0)) return nothing;
    return std::exp(std::max(std::abs(std::log(twins.low)), std::abs(std::log(twins.high))));
}

Verdict verdict(const Interval& ratio, double floor, bool more_is_better) {
    if (ratio.samples < fewest_pairs || !(floor >= 1)) return Verdict::unclear;
    const bool holds_one = ratio.low <= 1 && ratio.high >= 1;
    const bool is_noise = ratio.value <= floor && ratio.value * floor >= 1;
    if (holds_one || is_noise) return Verdict::indistinguishable;
    return (ratio.value > 1) == more_is_better ? Verdict::better : Verdict::worse;
}

double jain_index(std::span<const std::uint32_t> shares) {
    double sum = 0, squares = 0;
    for (const double share : shares) {
        sum += share;
        squares += share * share;
    }
    return squares > 0 ? sum * sum / (static_cast<double>(shares.size()) * squares) : nothing;
}

}  // namespace confab::compare
