#include "bench/compare/analysis.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

using namespace confab::compare;

namespace {

Settings some_settings() {
    return {.strategies = {"epoll", "thread", "sequential", "uring"},
            .workloads = {"W1"},
            .reference = "epoll",
            .blocks = 6,
            .quick = true,
            .seed = 1};
}

Cell cell(unsigned block, const char* contender, double cpu_us) {
    Cell made{.block = block,
              .workload = "W1",
              .level = "64 connections",
              .contender = contender,
              .figures = {},
              .failure = {},
              .limits = {},
              .course = {},
              .answers = {}};
    made.figures.cpu_us = cpu_us;
    made.figures.rate = 1e6 / cpu_us;
    made.figures.p99_ms = cpu_us / 10;
    made.figures.switches = cpu_us > 10 ? 1 : 0.01;
    made.figures.served = 64;
    made.figures.starved = 0;
    return made;
}

// The machine's speed changes from block to block by more than the strategies differ.
Record some_record() {
    Record record{.settings = some_settings(), .environment = {}, .command = {}, .cells = {}, .spectra = {}};
    const double speeds[] = {1, 3, 1.5, 2, 4, 1.2}, noises[] = {1.01, 0.99, 1.02, 0.98, 1, 1.01};
    for (unsigned block = 0; block < 6; ++block) {
        const double speed = speeds[block], noise = noises[block];
        record.cells.push_back(cell(block, "epoll", 5 * speed));
        record.cells.push_back(cell(block, "epoll again", 5 * speed * noise));
        record.cells.push_back(cell(block, "uring", 5.02 * speed * noise));
        record.cells.push_back(cell(block, "thread", 12 * speed));
        Cell starving = cell(block, "sequential", 4 * speed);
        starving.figures.served = 1;
        starving.figures.starved = 63;
        record.cells.push_back(starving);
    }
    return record;
}

const Row& row(const Table& table, const char* contender) {
    return *std::ranges::find(table.rows, contender, &Row::contender);
}

}  // namespace

TEST_CASE("figures are compared within a block, so a machine that changes its speed does not matter") {
    const std::vector<Table> all = tables(some_record());
    REQUIRE(all.size() == 1);
    const Metric& cost = metric("cpu_us");
    const Summary& thread = row(all[0], "thread").of(cost);
    CHECK(thread.ratio.value == doctest::Approx(2.4));
    CHECK(thread.ratio.low == doctest::Approx(2.4));
    CHECK(thread.verdict == Verdict::worse);
    CHECK(row(all[0], "uring").of(cost).verdict == Verdict::indistinguishable);
    CHECK(row(all[0], "sequential").of(cost).verdict == Verdict::better);
}

TEST_CASE("the choice falls on the best of those who serve everybody, with reasons") {
    const Record record = some_record();
    const Decision decision = decide(record, tables(record)[0]);
    CHECK((decision.pick == "epoll" || decision.pick == "uring"));
    CHECK(decision.within_noise.size() == 1);
    REQUIRE(decision.avoid.size() == 2);
    CHECK(decision.avoid[0].contender == "thread");
    CHECK(decision.avoid[0].why.find("2.4 times the processor time") != std::string::npos);
    CHECK(decision.avoid[0].why.find("switches") != std::string::npos);
    CHECK(decision.avoid[1].contender == "sequential");
    CHECK(decision.avoid[1].why == "it served 2 % of the connections");
}

TEST_CASE("who failed is avoided, with what was wrong") {
    Record record = some_record();
    for (Cell& each : record.cells) {
        if (each.contender == "uring" && each.block == 3) each.failure = "7 lost";
    }
    const Decision decision = decide(record, tables(record)[0]);
    CHECK(decision.pick == "epoll");
    CHECK(std::ranges::any_of(decision.avoid, [](const Decision::Avoided& avoided) {
        return avoided.contender == "uring" && avoided.why == "7 lost";
    }));
}

TEST_CASE("of too few blocks nothing is concluded") {
    Record record = some_record();
    std::erase_if(record.cells, [](const Cell& each) { return each.block > 1; });
    const Decision decision = decide(record, tables(record)[0]);
    CHECK(decision.pick.empty());
    CHECK(decision.within_noise.empty());
}

TEST_CASE("a latency that the generator has spoilt does not count, and what the server spent does") {
    Record record = some_record();
    for (Cell& each : record.cells) {
        if (each.block == 0) each.limits = {"the generator itself ran late"};
    }
    const Table table = tables(record)[0];
    CHECK(row(table, "epoll").limited == 1);
    CHECK(row(table, "epoll").of(metric("p99_ms")).value.samples == 5);
    CHECK(row(table, "epoll").of(metric("rate")).value.samples == 6);
    CHECK(row(table, "epoll").of(metric("cpu_us")).value.samples == 6);
    record.cells[0].figures.generator_cores = 0.99;
    CHECK(row(tables(record)[0], "epoll").of(metric("rate")).value.samples == 5);
}

TEST_CASE("two records are compared by their medians, with the larger noise of the two") {
    const Record before = some_record();
    Record after = some_record();
    for (Cell& each : after.cells) {
        if (each.contender == "thread") each.figures.cpu_us *= 10;
    }
    for (const Change& change : changes(before, after)) {
        CAPTURE(change.contender);
        CHECK(change.verdict == (change.contender == "thread" ? Verdict::worse : Verdict::indistinguishable));
    }
    after.settings.workloads = {"W7"};
    CHECK(changes(before, after).empty());
}
