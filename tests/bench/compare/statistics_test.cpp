#include "bench/compare/statistics.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

using namespace confab::compare;

namespace {

constexpr std::uint64_t seed = 7;
constexpr double unknown_value = std::numeric_limits<double>::quiet_NaN();

std::vector<double> normal(std::size_t count, double mean, double deviation, std::mt19937_64& random) {
    std::normal_distribution<double> spread(mean, deviation);
    std::vector<double> values(count);
    for (double& value : values) value = spread(random);
    return values;
}

}  // namespace

TEST_CASE("a median is the middle one, or between the two in the middle") {
    CHECK(median(std::array{3.0, 1.0, 2.0}) == 2.0);
    CHECK(median(std::array{4.0, 1.0, 2.0, 3.0}) == 2.5);
    CHECK(median(std::array{5.0}) == 5.0);
    CHECK(std::isnan(median({})));
}

TEST_CASE("an interval lies around the median, and is the same for the same seed") {
    const std::array values{1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0};
    const Interval interval = median_interval(values, seed);
    CHECK(interval.value == 5.0);
    CHECK(interval.samples == 9);
    // The exact interval of a median of nine by order statistics: from the second to the eighth.
    CHECK(interval.low == doctest::Approx(2.5).epsilon(0.25));
    CHECK(interval.high == doctest::Approx(7.5).epsilon(0.10));
    const Interval again = median_interval(values, seed);
    CHECK(again.low == interval.low);
    CHECK(again.high == interval.high);
}

TEST_CASE("of values that are all the same the interval has no width") {
    const Interval interval = median_interval(std::vector(10, 3.0), seed);
    CHECK(interval.low == 3.0);
    CHECK(interval.high == 3.0);
}

TEST_CASE("of no values nothing is known") {
    CHECK(median_interval({}, seed).samples == 0);
    CHECK(std::isnan(median_interval({}, seed).value));
}

TEST_CASE("nineteen in twenty intervals hold the true median, give or take") {
    std::mt19937_64 random(seed);
    constexpr int experiments = 300;
    int held = 0;
    for (int i = 0; i < experiments; ++i) {
        const Interval interval = median_interval(normal(15, 10, 2, random), seed);
        held += interval.low <= 10 && 10 <= interval.high ? 1 : 0;
    }
    CHECK(held >= experiments * 88 / 100);
    CHECK(held <= experiments * 99 / 100);
}

TEST_CASE("the ratio of two medians lies where both have been drawn") {
    std::mt19937_64 random(seed);
    const Interval ratio = ratio_of_medians(normal(30, 20, 1, random), normal(40, 10, 1, random), seed);
    CHECK(ratio.value == doctest::Approx(2).epsilon(0.1));
    CHECK(ratio.low < ratio.value);
    CHECK(ratio.high > ratio.value);
    CHECK(ratio.samples == 30);
    CHECK(ratio_of_medians(std::array{unknown_value}, std::array{1.0}, seed).samples == 0);
}

TEST_CASE("the noise is as far as a twin's ratio may be from one, either way") {
    CHECK(noise_floor({.value = 1, .low = 0.8, .high = 1.1, .samples = 10}) == doctest::Approx(1.25));
    CHECK(noise_floor({.value = 1, .low = 0.95, .high = 1.2, .samples = 10}) == doctest::Approx(1.2));
    CHECK(std::isnan(noise_floor({.value = 1, .low = 0.9, .high = 1.1, .samples = 2})));
}

TEST_CASE("what the interval and the noise leave is better or worse, the rest indistinguishable") {
    const Interval twice{.value = 2, .low = 1.8, .high = 2.2, .samples = 10};
    CHECK(verdict(twice, 1.05, true) == Verdict::better);
    CHECK(verdict(twice, 1.05, false) == Verdict::worse);
    CHECK(verdict(twice, 2.5, false) == Verdict::indistinguishable);
    const Interval half{.value = 0.5, .low = 0.4, .high = 0.6, .samples = 10};
    CHECK(verdict(half, 1.05, true) == Verdict::worse);
    CHECK(verdict(half, 1.05, false) == Verdict::better);
    CHECK(verdict(half, 2.5, false) == Verdict::indistinguishable);
    CHECK(verdict({.value = 1.2, .low = 0.9, .high = 1.5, .samples = 10}, 1, true) ==
          Verdict::indistinguishable);
    CHECK(verdict(twice, unknown_value, true) == Verdict::unclear);
    CHECK(verdict({.value = 9, .low = 8, .high = 10, .samples = 2}, 1, true) == Verdict::unclear);
}

TEST_CASE("one and its own twin are hardly ever told apart") {
    std::mt19937_64 random(seed);
    int told_apart = 0;
    for (int i = 0; i < 200; ++i) {
        const Interval twins = median_interval(normal(10, 1, 0.05, random), seed);
        const Interval third = median_interval(normal(10, 1, 0.05, random), seed);
        told_apart += verdict(third, noise_floor(twins), true) != Verdict::indistinguishable ? 1 : 0;
    }
    CHECK(told_apart <= 10);
}

TEST_CASE("what lies far from the others is counted, and of few values nothing is far") {
    CHECK(outliers(std::array{1.0, 1.1, 0.9, 1.05, 0.95, 9.0}) == 1);
    CHECK(outliers(std::array{1.0, 1.1, 0.9, 1.05, 0.95, 1.2}) == 0);
    CHECK(outliers(std::array{1.0, 1.0, 1.0, 100.0}) == 0);
}

TEST_CASE("Jain's index is one for equals and one in n for a monopoly") {
    CHECK(jain_index(std::array{5U, 5U, 5U, 5U}) == doctest::Approx(1));
    CHECK(jain_index(std::array{20U, 0U, 0U, 0U}) == doctest::Approx(0.25));
    CHECK(std::isnan(jain_index(std::array{0U, 0U})));
}
