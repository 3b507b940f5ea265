#include "bench/compare/plan.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>

using namespace confab::compare;

namespace {

Settings some_settings(std::uint64_t seed = 3) {
    return {.strategies = {"epoll", "thread", "callback"},
            .workloads = {"W1", "W10"},
            .reference = "epoll",
            .blocks = 4,
            .quick = true,
            .seed = seed};
}

std::vector<std::string> order(const std::vector<Planned>& cells) {
    std::vector<std::string> names;
    for (const Planned& cell : cells) names.push_back(cell.place.workload->id + cell.contender.name);
    return names;
}

}  // namespace

TEST_CASE("each block has every contender once at every place, the reference and its twin") {
    std::map<unsigned, std::multiset<std::string>> blocks;
    for (const Planned& cell : plan(some_settings()))
        blocks[cell.block].insert(cell.place.workload->id + " " + cell.contender.name);
    CHECK(blocks.size() == 4);
    for (const auto& [number, cells] : blocks) {
        CHECK(cells == std::multiset<std::string>{"W1 epoll", "W1 epoll again", "W1 thread", "W1 callback",
                                                  "W10 epoll", "W10 epoll again", "W10 thread"});
    }
}

TEST_CASE("the order is drawn anew in each block, and is the same for the same seed") {
    const auto first = order(plan(some_settings()));
    CHECK(first == order(plan(some_settings())));
    CHECK(first != order(plan(some_settings(4))));
    std::set<std::vector<std::string>> orders;
    for (std::size_t at = 0; at < first.size(); at += 7) {
        const auto from = first.begin() + static_cast<std::ptrdiff_t>(at);
        orders.emplace(from, from + 7);
    }
    CHECK(orders.size() > 1);
}

TEST_CASE("everybody gets to be first and last, by and by") {
    Settings settings = some_settings();
    settings.workloads = {"W1"};
    settings.blocks = 100;
    std::map<std::string, int> first;
    const auto names = order(plan(settings));
    for (std::size_t at = 0; at < names.size(); at += 4) ++first[names[at]];
    CHECK(first.size() == 4);
    for (const auto& [name, times] : first) CHECK(times >= 10);
}

TEST_CASE("what is done is not done again") {
    const Settings settings = some_settings();
    const std::vector<Planned> whole = plan(settings);
    std::vector<Cell> done;
    for (std::size_t i = 0; i < 10; ++i) {
        done.push_back({.block = whole[i].block,
                        .workload = whole[i].place.workload->id,
                        .level = whole[i].place.level->name,
                        .contender = whole[i].contender.name,
                        .figures = {},
                        .failure = {},
                        .limits = {},
                        .course = {},
                        .answers = {}});
    }
    const auto rest = order(without(plan(settings), done)), all = order(whole);
    CHECK(rest == std::vector<std::string>(all.begin() + 10, all.end()));
}

TEST_CASE("strategies are named with a size or as triples, and what is none is refused") {
    CHECK(parse_strategies("epoll,threadpool:64,2x1xuring,epoll").size() == 3);
    CHECK(parse_strategies("all").size() == 14);
    CHECK(contenders({.strategies = parse_strategies("threadpool:64"), .workloads = {}, .reference = ""})[0]
              .flags == std::vector<std::string>{"--strategy", "threadpool", "--threads", "64"});
    for (const char* const wrong :
         {"", "nothing", "epoll:2", "threadpool:x", "1x2", "ax1xepoll", "1x1xnothing"}) {
        CAPTURE(wrong);
        CHECK_THROWS_AS(parse_strategies(wrong), std::runtime_error);
    }
}

TEST_CASE("workloads come in their own order, and what is none is refused") {
    CHECK(parse_workloads("W7,W1") == std::vector<std::string>{"W1", "W7"});
    CHECK(parse_workloads("all").size() == 12);
    CHECK_THROWS_AS(parse_workloads("W13"), std::runtime_error);
    CHECK_THROWS_AS(parse_workloads(""), std::runtime_error);
}

TEST_CASE("every workload has one quick level, a metric that decides, and a load that can be") {
    for (const Workload& workload : workloads()) {
        CAPTURE(workload.id);
        CHECK(std::ranges::count_if(workload.levels, &Level::quick) == 1);
        CHECK_NOTHROW(metric(workload.decided_by));
        for (const Level& level : workload.levels) CHECK(level.load.fault() == "");
    }
}
