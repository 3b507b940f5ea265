#include "bench/compare/record.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <string>

using namespace confab::compare;
using namespace std::chrono_literals;

namespace {

Record some_record() {
    Record record{.settings = {.strategies = {"epoll", "threadpool:64"},
                               .workloads = {"W1", "W11"},
                               .reference = "epoll",
                               .blocks = 3,
                               .seconds = 0.5,
                               .warmup = 0.125,
                               .quick = true,
                               .budget_s = 165,
                               .seed = 0xffff'ffff'ffff'fff1,
                               .capacity = 12345.678},
                  .environment = {{"kernel", "Linux \"6\""}, {"processor", "two\ncores"}},
                  .command = "confab compare --seed 1",
                  .elapsed_s = 12.5,
                  .cells = {},
                  .spectra = {}};
    Cell cell{.block = 2,
              .workload = "W11",
              .level = "0.5x, 2x, 0.5x",
              .contender = "epoll again",
              .figures = {},
              .failure = "1 lost",
              .limits = {"late"},
              .course = {{.seconds = 0.1, .rate = 1000, .p99_ms = unknown}},
              .answers = {1, 2, 3}};
    double value = 0.1;
    for (const Metric& each : metrics()) cell.figures.*each.figure = value += 1.1;
    cell.figures.memory_kib = unknown;
    record.cells.push_back(cell);
    record.spectra[spectrum_key(cell)] = {.corrected = {{1.5, 10}, {20, 3}}, .uncorrected = {}};
    return record;
}

}  // namespace

TEST_CASE("a record is read back as it was written") {
    const Record before = some_record();
    const Record after = from_json(to_json(before));
    CHECK(after.settings == before.settings);
    CHECK(after.environment == before.environment);
    CHECK(after.command == before.command);
    CHECK(after.elapsed_s == before.elapsed_s);
    REQUIRE(after.cells.size() == 1);
    const Cell &mine = before.cells[0], &its = after.cells[0];
    CHECK(its.block == mine.block);
    CHECK(its.workload == mine.workload);
    CHECK(its.level == mine.level);
    CHECK(its.contender == mine.contender);
    CHECK(its.failure == mine.failure);
    CHECK(its.limits == mine.limits);
    CHECK(its.answers == mine.answers);
    REQUIRE(its.course.size() == 1);
    CHECK(its.course[0].rate == 1000);
    CHECK(std::isnan(its.course[0].p99_ms));
    for (const Metric& each : metrics()) {
        CAPTURE(each.name);
        const double was = mine.figures.*each.figure, is = its.figures.*each.figure;
        CHECK((was == is || (std::isnan(was) && std::isnan(is))));
    }
    CHECK(after.spectra.at(spectrum_key(its)).corrected == before.spectra.at(spectrum_key(mine)).corrected);
    CHECK(to_json(after) == to_json(before));
}

TEST_CASE("what is no record is refused with a reason") {
    for (const char* const text :
         {"", "{", "[]", "{}", "{\"confab_compare\": 2}", "{\"confab_compare\": 1}"}) {
        CAPTURE(text);
        CHECK_THROWS_AS(from_json(text), std::runtime_error);
    }
    std::string unknown_figure = to_json(some_record());
    unknown_figure.replace(unknown_figure.find("\"rate\""), 6, "\"ripe\"");
    CHECK_THROWS_AS(from_json(unknown_figure), std::runtime_error);
    CHECK_THROWS_WITH(read_record("/nowhere/at/all"),
                      "cannot read /nowhere/at/all: No such file or directory");
}

TEST_CASE("a file is replaced as a whole or not at all") {
    const std::string path = "record_test." + std::to_string(::getpid());
    write_file(path, to_json(some_record()));
    CHECK(read_record(path).cells.size() == 1);
    CHECK_THROWS_AS(write_file("/nowhere/at/all", "x"), std::runtime_error);
    CHECK(std::remove(path.c_str()) == 0);
}

TEST_CASE("a spectrum keeps every value, within a sixteenth, in order") {
    confab::load::Histogram histogram;
    for (const auto value : {1us, 2us, 1000us, 1001us, 5000us, 70000us}) histogram.record(value);
    Spectrum spectrum;
    add(spectrum, histogram);
    add(spectrum, histogram);
    std::uint64_t count = 0;
    for (const auto& [end, times] : spectrum) count += times;
    CHECK(count == 2 * histogram.count());
    CHECK(std::ranges::is_sorted(spectrum));
    CHECK(spectrum.back().first >= 70'000);
    CHECK(spectrum.back().first <= 70'000 * 17.0 / 16);
}
