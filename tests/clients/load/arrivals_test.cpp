#include "clients/load/arrivals.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

using namespace confab;
using namespace confab::load;
using namespace std::chrono_literals;

namespace {

std::vector<double> first_seconds(Arrivals arrivals, std::size_t count) {
    const Instant start{};
    arrivals.begin(start);
    std::vector<double> times;
    for (; times.size() < count && arrivals.next() != never; arrivals.pop()) {
        times.push_back(std::chrono::duration<double>(arrivals.next() - start).count());
    }
    return times;
}

}  // namespace

TEST_CASE("evenly spaced messages are due one after the other, the first at once") {
    const std::vector<double> times = first_seconds(Arrivals(RateProfile(100), Spacing::even, {}, 1), 5);
    for (std::size_t i = 0; i < times.size(); ++i)
        CHECK(times[i] == doctest::Approx(0.01 * static_cast<double>(i)));
}

TEST_CASE("workers that share a rate have each message once") {
    const std::vector<double> all = first_seconds(Arrivals(RateProfile(90), Spacing::even, {}, 1), 300);
    std::vector<double> shared;
    for (std::size_t worker = 0; worker < 3; ++worker) {
        const auto part =
            first_seconds(Arrivals(RateProfile(90), Spacing::even, {.index = worker, .of = 3}, 1), 100);
        shared.insert(shared.end(), part.begin(), part.end());
    }
    std::ranges::sort(shared);
    for (std::size_t i = 0; i < all.size(); ++i) CHECK(shared[i] == doctest::Approx(all[i]));
}

TEST_CASE("Poisson's gaps are independent, exponential, and the same for the same seed") {
    constexpr std::size_t count = 100'000;
    const Arrivals arrivals(RateProfile(1000), Spacing::poisson, {}, 7);
    const std::vector<double> times = first_seconds(arrivals, count);
    CHECK(times == first_seconds(arrivals, count));
    CHECK(times.back() == doctest::Approx(100).epsilon(0.02));
    std::size_t longer_than_mean = 0;
    for (std::size_t i = 1; i < count; ++i) longer_than_mean += times[i] - times[i - 1] > 0.001 ? 1 : 0;
    CHECK(static_cast<double>(longer_than_mean) / count == doctest::Approx(std::exp(-1)).epsilon(0.02));
}

TEST_CASE("a profile's messages are the area under it") {
    const RateProfile profile({{.seconds = 10, .from = 0, .to = 100},
                               {.seconds = 5, .from = 400, .to = 400},
                               {.seconds = 0, .from = 50, .to = 50}});
    CHECK(profile.rate_at(5) == doctest::Approx(50));
    CHECK(profile.rate_at(12) == doctest::Approx(400));
    CHECK(profile.rate_at(100) == doctest::Approx(50));
    CHECK(profile.when(125) == doctest::Approx(5));
    CHECK(profile.when(500) == doctest::Approx(10));
    CHECK(profile.when(500 + 2000) == doctest::Approx(15));
    CHECK(profile.when(500 + 2000 + 50) == doctest::Approx(16));
}

TEST_CASE("a profile is read as it is written") {
    const auto profile = RateProfile::parse("10:0-5000,30:5000,1.5:20000");
    REQUIRE(profile.has_value());
    CHECK(profile->seconds() == doctest::Approx(41.5));
    CHECK(profile->rate_at(5) == doctest::Approx(2500));
    CHECK(profile->rate_at(41) == doctest::Approx(20'000));
    CHECK(!profile->is_constant());
    CHECK(RateProfile::parse("3:7")->is_constant());
    CHECK(profile->after_warmup(2).rate_at(7) == doctest::Approx(2500));
    for (const char* wrong : {"", "10", "10:", ":5", "0:5", "10:5,", "10:5-", "-1:5", "10:5;3:4", "x:1"}) {
        CAPTURE(wrong);
        CHECK(!RateProfile::parse(wrong));
    }
}

TEST_CASE("a rate that falls to zero leaves nothing due") {
    const RateProfile profile({{.seconds = 2, .from = 100, .to = 0}});
    CHECK(profile.when(100) == doctest::Approx(2));
    CHECK(std::isinf(profile.when(101)));
    CHECK(first_seconds(Arrivals(profile, Spacing::even, {}, 1), 1000).size() == 101);
}

TEST_CASE("another rate counts from when it was set") {
    Arrivals arrivals(RateProfile(10), Spacing::even, {}, 1);
    arrivals.begin(Instant{});
    arrivals.change_rate(Instant{1s}, 1000);
    CHECK(arrivals.next() == Instant{1s});
    arrivals.pop();
    CHECK(arrivals.next() == Instant{1001ms});
}
