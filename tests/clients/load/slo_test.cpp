#include "clients/load/slo.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <random>

#include "clients/load/find_max.hpp"

using namespace confab;
using namespace confab::load;
using namespace std::chrono_literals;

namespace {

Slo p99() { return *Slo::parse("p99<10ms"); }

// Blocks of a thousand messages of which about so many are late, give or take.
std::vector<Evidence> blocks(std::size_t count, double late, double noise, std::mt19937_64& random) {
    std::normal_distribution<double> spread(late * 1000, noise * 1000);
    std::vector<Evidence> all;
    while (all.size() < count) {
        all.push_back(
            {.above = static_cast<std::uint64_t>(std::clamp(spread(random), 0.0, 1000.0)), .all = 1000});
    }
    return all;
}

}  // namespace

TEST_CASE("an SLO is read as it is written") {
    CHECK(Slo::parse("p99<10ms")->share == doctest::Approx(0.99));
    CHECK(Slo::parse("p99<10ms")->limit == 10ms);
    CHECK(Slo::parse(" p99.9 < 500 us")->limit == 500us);
    CHECK(Slo::parse("p50<1.5s")->limit == 1500ms);
    CHECK(Slo::parse("max<1s")->share == 1);
    CHECK(Slo::parse("p99<10ms")->text() == "p99 < 10.0 ms");
    for (const char* wrong : {"", "p99", "p99<", "p99<10", "p0<1ms", "p100<1ms", "p99>1ms", "p99<-1ms",
                              "p99<2000000s", "99<1ms", "p99<1msx"}) {
        CAPTURE(wrong);
        CHECK(!Slo::parse(wrong));
    }
}

TEST_CASE("far from the limit it is held or missed, near to it unclear") {
    std::mt19937_64 random(1);
    CHECK(judge(p99(), blocks(20, 0.001, 0.0005, random)).verdict == Verdict::held);
    CHECK(judge(p99(), blocks(20, 0.05, 0.005, random)).verdict == Verdict::missed);
    std::vector<Evidence> on_the_brink;
    for (int i = 0; i < 10; ++i) {
        on_the_brink.push_back({.above = 0, .all = 1000});
        on_the_brink.push_back({.above = 20, .all = 1000});
    }
    CHECK(judge(p99(), on_the_brink).verdict == Verdict::unclear);
}

TEST_CASE("more evidence decides what less left unclear") {
    std::mt19937_64 random(2);
    std::vector<Evidence> evidence = blocks(5, 0.013, 0.008, random);
    const Judgement first = judge(p99(), evidence);
    const std::vector<Evidence> more = blocks(400, 0.013, 0.008, random);
    evidence.insert(evidence.end(), more.begin(), more.end());
    const Judgement last = judge(p99(), evidence);
    CHECK(last.high - last.low < first.high - first.low);
    CHECK(last.verdict == Verdict::missed);
}

TEST_CASE("too little evidence is unclear, however good it looks") {
    CHECK(judge(p99(), std::vector<Evidence>(4, {.above = 0, .all = 100'000})).verdict == Verdict::unclear);
    CHECK(judge(p99(), std::vector<Evidence>(10, {.above = 0, .all = 99})).verdict == Verdict::unclear);
    CHECK(judge(p99(), std::vector<Evidence>(10, {.above = 0, .all = 101})).verdict == Verdict::held);
    CHECK(judge(p99(), std::vector<Evidence>()).verdict == Verdict::unclear);
}

TEST_CASE("a maximum is broken by a single message") {
    std::vector<Evidence> evidence(10, {.above = 0, .all = 1000});
    CHECK(judge(*Slo::parse("max<1s"), evidence).verdict == Verdict::held);
    evidence[3].above = 1;
    CHECK(judge(*Slo::parse("max<1s"), evidence).verdict == Verdict::missed);
}

TEST_CASE("a miss that the generator's own lateness explains is unclear") {
    LoadResult result;
    Histogram latency;
    latency.record(1ms, 900);
    latency.record(20ms, 100);
    result.blocks.assign(10, {.length = 1s, .messages = 1000, .latency = latency.buckets()});
    CHECK(judge(p99(), result).verdict == Verdict::missed);
    result.health.lateness.record(1ms, 900);
    result.health.lateness.record(20ms, 100);
    CHECK(judge(p99(), result).verdict == Verdict::unclear);
}

TEST_CASE("a generator without a core to spare says so, unless the server is as busy") {
    LoadOptions options;
    LoadResult result;
    result.measured = 10s;
    result.corrected.record(1ms, 1000);
    result.health.cpu = 9900ms;
    CHECK(generator_limits(options, result).size() == 1);
    result.server_known = true;
    result.server_cpu = 9900ms;
    CHECK(generator_limits(options, result).empty());
    result.health.hiccups.record(700us, 10);
    CHECK(generator_limits(options, result).size() == 1);
}

TEST_CASE("the search ends around the rate that holds, though every probe is noisy") {
    for (const double capacity : {130.0, 1000.0, 47'000.0, 3e6}) {
        std::mt19937_64 random(3);
        const auto probe = [&](double rate) {
            // A knee: hardly anybody is late below the capacity, many above.
            const double late = 0.01 * std::pow(rate / capacity, 12);
            return Probe{.evidence = blocks(10, std::min(late, 1.0), 0.003, random), .failure = {}};
        };
        const RateInterval found = find_max_rate(p99(), {}, probe);
        CAPTURE(capacity);
        CHECK(found.held <= capacity * 1.02);
        CHECK(found.held >= capacity * 0.8);
        CHECK(found.missed >= capacity * 0.98);
        CHECK(found.missed <= capacity * 1.3);
        CHECK(found.probes <= 40);
    }
}

TEST_CASE("a server that never holds the SLO ends the search, too") {
    const RateInterval found = find_max_rate(p99(), {}, [](double) {
        return Probe{.evidence = std::vector<Evidence>(10, {.above = 500, .all = 1000}), .failure = {}};
    });
    CHECK(found.held == 0);
    CHECK(found.probes < 15);
}

TEST_CASE("a rate that the generator does not reach is not held") {
    const RateInterval found = find_max_rate(p99(), {}, [](double rate) {
        return Probe{.evidence = std::vector<Evidence>(10, {.above = 0, .all = 1000}),
                     .failure = rate > 5000 ? "no processor time left" : ""};
    });
    CHECK(found.held <= 5000);
    CHECK(found.held > 4500);
}
