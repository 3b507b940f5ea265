#include "server/scoreboard.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <vector>

using namespace confab;

namespace {

// Workers that are ready.
std::vector<WorkerLine*> ready_workers(Scoreboard& scoreboard, int number) {
    std::vector<WorkerLine*> workers;
    for (int i = 0; i < number; ++i) {
        WorkerLine& line = scoreboard.take();
        line.pid = i + 1;
        line.state = WorkerLine::State::ready;
        workers.push_back(&line);
    }
    return workers;
}

}  // namespace

TEST_CASE("whoever is let in next, no worker gets a fifth more than its share") {
    constexpr int number = 8;
    Scoreboard scoreboard(number);
    const std::vector<WorkerLine*> workers = ready_workers(scoreboard, number);
    // The worst there could be: always the one that has most already.
    for (int connections = 0; connections < 800; ++connections) {
        WorkerLine* next = nullptr;
        for (WorkerLine* const worker : workers) {
            const bool may = scoreboard.has_share(*worker);
            if (may && (next == nullptr || worker->connections > next->connections)) next = worker;
        }
        REQUIRE(next != nullptr);
        ++next->connections;
    }
    for (const WorkerLine* const worker : workers) CHECK(worker->connections <= 120);
}

TEST_CASE("somebody may always take one more, whatever each of them has") {
    Scoreboard scoreboard(5);
    const std::vector<WorkerLine*> workers = ready_workers(scoreboard, 5);
    std::mt19937 random(1);
    for (int round = 0; round < 1000; ++round) {
        for (WorkerLine* const worker : workers) worker->connections = random() % 50;
        CHECK(std::ranges::any_of(workers,
                                  [&](const WorkerLine* worker) { return scoreboard.has_share(*worker); }));
    }
}

TEST_CASE("those who accept no more have no part in what is shared") {
    Scoreboard scoreboard(3);
    const std::vector<WorkerLine*> workers = ready_workers(scoreboard, 3);
    workers[0]->connections = 10;
    workers[1]->connections = 10;
    CHECK_FALSE(scoreboard.has_share(*workers[0]));
    workers[2]->state = WorkerLine::State::retiring;
    CHECK(scoreboard.has_share(*workers[0]));
    workers[2]->state = WorkerLine::State::starting;
    CHECK(scoreboard.has_share(*workers[0]));
    CHECK(scoreboard.has_share(*workers[2]));  // it is one of those who share as soon as it accepts
}
