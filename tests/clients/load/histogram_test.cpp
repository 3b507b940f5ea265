#include "clients/load/histogram.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <sstream>

using namespace confab;
using namespace confab::load;
using namespace std::chrono_literals;

namespace {

// Values over nine orders of magnitude, as latencies are.
std::vector<std::int64_t> some_values(std::size_t count, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    std::lognormal_distribution<double> spread(12, 3);
    std::vector<std::int64_t> values;
    while (values.size() < count) values.push_back(static_cast<std::int64_t>(spread(random)));
    return values;
}

Histogram histogram_of(const std::vector<std::int64_t>& values) {
    Histogram histogram;
    for (const std::int64_t value : values) histogram.record(Duration(value));
    return histogram;
}

}  // namespace

TEST_CASE("every quantile is the exact one, or up to a thousandth above it") {
    for (const std::uint64_t seed : {1U, 2U, 3U}) {
        std::vector<std::int64_t> values = some_values(50'000, seed);
        const Histogram histogram = histogram_of(values);
        std::ranges::sort(values);
        for (const double share : {0.0, 0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999, 1.0}) {
            CAPTURE(seed);
            CAPTURE(share);
            const auto rank = std::max(std::ceil(share * static_cast<double>(values.size())), 1.0);
            const std::int64_t exact = values[static_cast<std::size_t>(rank) - 1];
            const std::int64_t told = histogram.at(share).count();
            CHECK(told >= exact);
            CHECK(static_cast<double>(told) <= static_cast<double>(exact) * 1.001);
        }
    }
}

TEST_CASE("small durations are told apart to the nanosecond") {
    Histogram histogram;
    for (const int value : {0, 1, 2, 1023, 1024, 2047}) histogram.record(Duration(value));
    CHECK(histogram.least() == 0ns);
    CHECK(histogram.at(0.5) == 2ns);
    CHECK(histogram.at(0.8) == 1024ns);
    CHECK(histogram.most() == 2047ns);
}

TEST_CASE("longer than an hour counts as an hour, and less than nothing as nothing") {
    Histogram histogram;
    histogram.record(2h);
    histogram.record(-5ns);
    CHECK(histogram.most() == Histogram::longest);
    CHECK(histogram.least() == 0ns);
}

TEST_CASE("histograms add up to the histogram of all values") {
    const std::vector<std::int64_t> some = some_values(10'000, 4), others = some_values(20'000, 5);
    std::vector<std::int64_t> all = some;
    all.insert(all.end(), others.begin(), others.end());
    Histogram sum = histogram_of(some);
    SUBCASE("as they are") { sum.add(histogram_of(others)); }
    SUBCASE("by their buckets") { sum.add(histogram_of(others).buckets()); }
    const Histogram expected = histogram_of(all);
    CHECK(sum.count() == expected.count());
    for (double share = 0; share <= 1; share += 0.01) CHECK(sum.at(share) == expected.at(share));
}

TEST_CASE("the share above a duration counts what is above it") {
    Histogram histogram;
    for (int i = 1; i <= 1000; ++i) histogram.record(std::chrono::microseconds(i));
    CHECK(histogram.share_above(900us) == doctest::Approx(0.1).epsilon(0.01));
    CHECK(histogram.share_above(1ms) == 0);
    CHECK(histogram.share_above(0ns) == 1);
}

TEST_CASE("mean and deviation are those of the values") {
    Histogram histogram;
    for (const int value : {1000, 2000, 3000, 4000}) histogram.record(std::chrono::microseconds(value));
    CHECK(static_cast<double>(histogram.mean().count()) == doctest::Approx(2.5e6).epsilon(0.001));
    CHECK(static_cast<double>(histogram.deviation().count()) == doctest::Approx(1.118e6).epsilon(0.001));
}

TEST_CASE("an empty histogram has zeros to tell") {
    const Histogram histogram;
    CHECK(histogram.at(0.99) == 0ns);
    CHECK(histogram.mean() == 0ns);
    CHECK(histogram.share_above(0ns) == 0);
    CHECK(histogram.hgrm().find("Total count    =            0") != std::string::npos);
}

TEST_CASE("the .hgrm text rises to 100 % and counts everything") {
    const Histogram histogram = histogram_of(some_values(30'000, 6));
    std::istringstream lines(histogram.hgrm());
    std::string line;
    std::getline(lines, line);
    CHECK(line.find("Value") != std::string::npos);
    std::getline(lines, line);
    double value = 0, share = 0, last_value = -1, last_share = -1;
    std::uint64_t count = 0;
    int rows = 0;
    while (std::getline(lines, line) && line.front() != '#') {
        std::istringstream fields(line);
        fields >> value >> share >> count;
        CHECK(value > last_value);
        CHECK(share > last_share);
        last_value = value;
        last_share = share;
        ++rows;
    }
    CHECK(share == 1.0);
    CHECK(count == 30'000);
    CHECK(rows > 40);
    CHECK(rows < 200);
}
