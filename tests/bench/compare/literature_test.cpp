#include "bench/compare/literature.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "bench/compare/plan.hpp"

using namespace confab::compare;

namespace {

// What every cell shows, unless `change` says otherwise.
template <class Change>
Record some_run(Change change) {
    Record record{
        .settings = literature_settings(1), .environment = {}, .command = {}, .cells = {}, .spectra = {}};
    for (const Planned& planned : plan(record.settings)) {
        Cell cell{.block = planned.block,
                  .workload = planned.place.workload->id,
                  .level = planned.place.level->name,
                  .contender = planned.contender.name,
                  .figures = {},
                  .failure = {},
                  .limits = {},
                  .course = {},
                  .answers = {}};
        cell.figures.cpu_us = 5;
        cell.figures.rate = 10'000;
        cell.figures.max_ms = 3;
        cell.figures.busiest = 0.25;
        change(cell);
        record.cells.push_back(cell);
    }
    return record;
}

Finding found(const Record& record, const std::string& id) {
    const auto all = findings(record);
    return *std::ranges::find(all, id, &Finding::id);
}

}  // namespace

TEST_CASE("where all are alike only what claims likeness is reproduced") {
    const Record record = some_run([](Cell&) {});
    CHECK(findings(record).size() == 8);
    CHECK(found(record, "R1").reproduced == Reproduced::yes);
    CHECK(found(record, "R2").reproduced == Reproduced::no);
    CHECK(found(record, "R3").reproduced == Reproduced::in_part);
    CHECK(found(record, "R4").reproduced == Reproduced::no);
    CHECK(found(record, "R5").reproduced == Reproduced::yes);
    CHECK(found(record, "R7").reproduced == Reproduced::no);
    CHECK(found(record, "R8").reproduced == Reproduced::in_part);
}

TEST_CASE("what was published is reproduced where it is so") {
    const Record record = some_run([](Cell& cell) {
        if (cell.contender == "poll" && cell.workload == "W3") cell.figures.cpu_us *= 2;
        if (cell.contender == "thread") cell.figures.cpu_us *= 1.2;
        if (cell.contender == "threadpool:64" && cell.workload == "W5") cell.figures.rate *= 7;
        if (cell.contender == "threadpool:64" && cell.level == "5000 at once") cell.figures.rate /= 4;
        if (cell.contender == "4x1xepoll") cell.figures.busiest = 0.7;
        if (cell.contender == "percore:4") cell.figures.max_ms = 9;
    });
    for (const char* const id : {"R1", "R2", "R4", "R5", "R6", "R7", "R8"}) {
        CAPTURE(id);
        CHECK(found(record, id).reproduced == Reproduced::yes);
    }
    CHECK(found(record, "R2").figures == "work of poll / epoll: 0.50 (0.50 to 0.50; claimed: 0.3 to 0.7)");
}

TEST_CASE("of a run that was not for it, or has hardly begun, nothing is said") {
    Record record = some_run([](Cell&) {});
    std::erase_if(record.cells, [](const Cell& cell) { return cell.block > 0; });
    CHECK(found(record, "R1").reproduced == Reproduced::unclear);
    record.cells.clear();
    CHECK(found(record, "R1").reproduced == Reproduced::unclear);
    record.settings.literature = false;
    CHECK(findings(record).empty());
}
