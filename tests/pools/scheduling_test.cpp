// Scheduling policies, held against examples worked out by hand: by the textbooks
//     [OSC]   Silberschatz, Galvin, Gagne: Operating System Concepts, 10th ed., 5.3 (Scheduling Algorithms)
//     [OSTEP] Arpaci-Dusseau: Operating Systems: Three Easy Pieces, chapters 7 (Scheduling) and 8 (MLFQ)
// and, where it says so, by us.
#include "pools/scheduling.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <latch>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "pools/yielding_pool.hpp"

using namespace confab;

namespace {

using Stretches = std::vector<schedule::stretch>;

std::vector<ticks> waiting(const schedule& result) {
    std::vector<ticks> all;
    for (const auto& each : result.of_jobs) all.push_back(each.waiting);
    return all;
}

schedule simulated(scheduling_policy&& policy, std::vector<simulated_job> jobs) {
    return simulate(policy, std::move(jobs));
}

const shortest_job_first::preemption preemptive = shortest_job_first::preemption::yes;

}  // namespace

TEST_CASE("first come, first served: a long job in front makes everybody wait [OSC 5.3.1]") {
    const schedule long_first =
        simulated(first_come_first_served(), {{"P1", 0, 24}, {"P2", 0, 3}, {"P3", 0, 3}});
    CHECK(long_first.stretches == Stretches{{0, 0, 24}, {1, 24, 27}, {2, 27, 30}});
    CHECK(waiting(long_first) == std::vector<ticks>{0, 24, 27});
    CHECK(long_first.average_waiting() == doctest::Approx(17));
    const schedule long_last =
        simulated(first_come_first_served(), {{"P2", 0, 3}, {"P3", 0, 3}, {"P1", 0, 24}});
    CHECK(waiting(long_last) == std::vector<ticks>{0, 3, 6});
    CHECK(long_last.average_waiting() == doctest::Approx(3));
}

TEST_CASE("first come, first served: turnaround of equal jobs, and behind a long one [OSTEP 7.3]") {
    CHECK(simulated(first_come_first_served(), {{"A", 0, 10}, {"B", 0, 10}, {"C", 0, 10}})
              .average_turnaround() == doctest::Approx(20));
    CHECK(simulated(first_come_first_served(), {{"A", 0, 100}, {"B", 0, 10}, {"C", 0, 10}})
              .average_turnaround() == doctest::Approx(110));
}

TEST_CASE("shortest job first: the least average waiting of jobs that are there [OSC 5.3.2, OSTEP 7.4]") {
    const schedule result =
        simulated(shortest_job_first(), {{"P1", 0, 6}, {"P2", 0, 8}, {"P3", 0, 7}, {"P4", 0, 3}});
    CHECK(result.stretches == Stretches{{3, 0, 3}, {0, 3, 9}, {2, 9, 16}, {1, 16, 24}});
    CHECK(waiting(result) == std::vector<ticks>{3, 16, 9, 0});
    CHECK(result.average_waiting() == doctest::Approx(7));
    CHECK(simulated(shortest_job_first(), {{"A", 0, 100}, {"B", 0, 10}, {"C", 0, 10}}).average_turnaround() ==
          doctest::Approx(50));
}

TEST_CASE("shortest job first does not interrupt, shortest remaining time first does [OSC 5.3.2]") {
    const std::vector<simulated_job> jobs{{"P1", 0, 8}, {"P2", 1, 4}, {"P3", 2, 9}, {"P4", 3, 5}};
    const schedule patient = simulated(shortest_job_first(), jobs);
    CHECK(patient.stretches == Stretches{{0, 0, 8}, {1, 8, 12}, {3, 12, 17}, {2, 17, 26}});
    CHECK(patient.average_waiting() == doctest::Approx(7.75));
    const schedule eager = simulated(shortest_job_first(preemptive), jobs);
    CHECK(eager.stretches == Stretches{{0, 0, 1}, {1, 1, 5}, {3, 5, 10}, {0, 10, 17}, {2, 17, 26}});
    CHECK(waiting(eager) == std::vector<ticks>{9, 0, 15, 2});
    CHECK(eager.average_waiting() == doctest::Approx(6.5));
}

TEST_CASE("shortest remaining time first: short jobs that come late need not wait [OSTEP 7.5]") {
    const std::vector<simulated_job> jobs{{"A", 0, 100}, {"B", 10, 10}, {"C", 10, 10}};
    CHECK(simulated(shortest_job_first(), jobs).average_turnaround() ==
          doctest::Approx(103.33).epsilon(0.001));
    CHECK(simulated(shortest_job_first(preemptive), jobs).average_turnaround() == doctest::Approx(50));
}

TEST_CASE("round robin: each in turn for a quantum [OSC 5.3.3]") {
    const schedule result = simulated(round_robin(4), {{"P1", 0, 24}, {"P2", 0, 3}, {"P3", 0, 3}});
    CHECK(result.stretches == Stretches{{0, 0, 4}, {1, 4, 7}, {2, 7, 10}, {0, 10, 30}});
    CHECK(waiting(result) == std::vector<ticks>{6, 4, 7});
    CHECK(result.average_waiting() == doctest::Approx(5.66).epsilon(0.002));
    CHECK_THROWS_AS(round_robin(0), std::invalid_argument);
}

TEST_CASE("round robin answers sooner and is done later than shortest job first [OSTEP 7.7]") {
    const std::vector<simulated_job> jobs{{"A", 0, 5}, {"B", 0, 5}, {"C", 0, 5}};
    const schedule turns = simulated(round_robin(1), jobs);
    CHECK(turns.average_response() == doctest::Approx(1));
    CHECK(turns.average_turnaround() == doctest::Approx(14));
    const schedule in_one = simulated(shortest_job_first(), jobs);
    CHECK(in_one.average_response() == doctest::Approx(5));
    CHECK(in_one.average_turnaround() == doctest::Approx(10));
}

TEST_CASE("round robin: who arrives as a slice ends is served before him whose slice it was (by hand)") {
    const schedule result = simulated(round_robin(2), {{"A", 0, 4}, {"B", 2, 1}});
    CHECK(result.stretches == Stretches{{0, 0, 2}, {1, 2, 3}, {0, 3, 5}});
}

TEST_CASE("round robin with a quantum as long as the longest job is first come, first served") {
    const std::vector<simulated_job> jobs{{"A", 0, 7}, {"B", 1, 3}, {"C", 1, 9}, {"D", 20, 2}};
    CHECK(simulated(round_robin(9), jobs).stretches == simulated(first_come_first_served(), jobs).stretches);
}

TEST_CASE("feedback: a long job sinks queue by queue [OSTEP 8.2, figure 8.2]") {
    feedback_queues queues({10, 10, 10});
    ready_job job{.id = 1};
    queues.add(job);
    for (const std::size_t level : {0U, 1U, 2U, 2U}) {
        job = *queues.next();
        CHECK(job.level == level);
        CHECK(queues.slice(job) == 10);
        job.used += 10;
        queues.put_back(job);
    }
}

TEST_CASE(
    "feedback: a short job that comes along is done before it sinks to the last queue [OSTEP 8.2, figure "
    "8.3]") {
    const schedule result = simulated(feedback_queues({10, 10, 10}), {{"A", 0, 180}, {"B", 100, 20}});
    CHECK(result.stretches == Stretches{{0, 0, 100}, {1, 100, 120}, {0, 120, 200}});
    CHECK(result.of_jobs[1] == schedule::times{.waiting = 0, .turnaround = 20, .response = 0});
}

TEST_CASE("feedback: sinking, making room at once, and the rest of an allowance (by hand)") {
    // 0-2 A uses up the first queue. 2-3 A in the second, until B comes. 3-5 B uses up the first. A has
    // waited longer in the second and has 3 of its 4 left: 5-8. Then B, which needs 1: 8-9. A in the third:
    // 9-13.
    const schedule result = simulated(feedback_queues(doubling(2, 3)), {{"A", 0, 10}, {"B", 3, 3}});
    CHECK(result.stretches == Stretches{{0, 0, 3}, {1, 3, 5}, {0, 5, 8}, {1, 8, 9}, {0, 9, 13}});
    CHECK(result.of_jobs == std::vector<schedule::times>{{.waiting = 3, .turnaround = 13, .response = 0},
                                                         {.waiting = 3, .turnaround = 6, .response = 0}});
}

TEST_CASE("feedback: in the last queue it is each in turn (by hand)") {
    const schedule result = simulated(feedback_queues({1, 2}), {{"A", 0, 5}, {"B", 0, 5}});
    CHECK(result.stretches == Stretches{{0, 0, 1}, {1, 1, 2}, {0, 2, 4}, {1, 4, 6}, {0, 6, 8}, {1, 8, 10}});
    CHECK_THROWS_AS(feedback_queues({}), std::invalid_argument);
    CHECK_THROWS_AS(feedback_queues({1, 0}), std::invalid_argument);
}

TEST_CASE("an idle processor waits for the next job, and jobs may come in any order") {
    const schedule result =
        simulated(first_come_first_served(), {{"late", 20, 5}, {"early", 3, 2}, {"nothing", 4, 0}});
    CHECK(result.stretches == Stretches{{1, 3, 5}, {0, 20, 25}});
    CHECK(result.of_jobs[2] == schedule::times{.waiting = 1, .turnaround = 1, .response = 1});
    CHECK(simulated(round_robin(1), {}).stretches.empty());
}

TEST_CASE("a schedule as a chart and as a table") {
    const schedule result = simulated(round_robin(4), {{"P1", 0, 24}, {"P2", 0, 3}, {"P3", 0, 3}});
    CHECK(result.chart() ==
          "|P1 |P2|P3|P1                 |\n"
          "0   4  7  10                  30\n");
    CHECK(result.chart(15) ==
          "|P1|P2|P3|P1   |\n"
          "0  4  7  10    30\n");
    CHECK(result.table() ==
          "            waiting  turnaround    response\n"
          "P1                6          30           0\n"
          "P2                4           7           4\n"
          "P3                7          10           7\n"
          "average        5.67       15.67        3.67\n");
    CHECK(simulated(round_robin(4), {{"A", 2, 3}}).chart() ==
          "| |A |\n"
          "0 2  5\n");
    CHECK(simulated(round_robin(4), {}).chart() == "|\n0\n");
}

namespace {

// A task of so many steps, each of which notes its name.
std::function<step()> noting(std::string& log, char name, int steps) {
    return [&log, name, steps]() mutable {
        log += name;
        return --steps == 0 ? step::done : step::again;
    };
}

// What one thread does of tasks that are all there before it begins.
std::string worked(std::unique_ptr<scheduling_policy> policy,
                   const std::vector<std::pair<char, int>>& tasks) {
    std::string log;
    yielding_pool pool(std::move(policy));
    std::latch all_there(1);
    pool.submit(
        [&] {
            all_there.wait();
            return step::done;
        },
        1);
    for (const auto& [name, steps] : tasks) pool.submit(noting(log, name, steps), static_cast<ticks>(steps));
    all_there.count_down();
    pool.close();
    pool.join();
    return log;
}

std::string in_simulation(scheduling_policy&& policy, const std::vector<std::pair<char, int>>& tasks) {
    std::vector<simulated_job> jobs;
    for (const auto& [name, steps] : tasks)
        jobs.push_back({std::string(1, name), 0, static_cast<ticks>(steps)});
    const schedule result = simulate(policy, jobs);
    std::string log;
    for (const auto& each : result.stretches)
        log += std::string(each.end - each.begin, jobs[each.job].name[0]);
    return log;
}

}  // namespace

TEST_CASE("a pool of yielding tasks follows its policy step by step, as the simulation does tick by tick") {
    const std::vector<std::pair<char, int>> tasks{{'a', 12}, {'b', 3}, {'c', 7}, {'d', 3}};
    CHECK(worked(std::make_unique<first_come_first_served>(), tasks) ==
          in_simulation(first_come_first_served(), tasks));
    CHECK(worked(std::make_unique<shortest_job_first>(), tasks) ==
          in_simulation(shortest_job_first(), tasks));
    CHECK(worked(std::make_unique<shortest_job_first>(preemptive), tasks) ==
          in_simulation(shortest_job_first(preemptive), tasks));
    CHECK(worked(std::make_unique<round_robin>(4), tasks) == in_simulation(round_robin(4), tasks));
    CHECK(worked(std::make_unique<feedback_queues>(doubling(2, 3)), tasks) ==
          in_simulation(feedback_queues(doubling(2, 3)), tasks));
    CHECK(worked(std::make_unique<round_robin>(4), tasks) == "aaaabbbccccdddaaaacccaaaa");
}

TEST_CASE("a newcomer makes a yielding task give way at its next step, where the policy says so") {
    const auto with_newcomer = [](std::unique_ptr<scheduling_policy> policy) {
        std::string log;
        yielding_pool pool(std::move(policy));
        std::latch over(2);
        const auto count_down = [&](const future<void>&) { over.count_down(); };
        pool.submit(
                [&, steps = 0]() mutable {
                    log += 'a';
                    if (++steps == 3) pool.submit(noting(log, 'b', 2), 2).on_done(count_down);
                    return steps == 6 ? step::done : step::again;
                },
                6)
            .on_done(count_down);
        over.wait();
        return log;
    };
    CHECK(with_newcomer(std::make_unique<first_come_first_served>()) == "aaaaaabb");
    CHECK(with_newcomer(std::make_unique<shortest_job_first>()) == "aaaaaabb");
    CHECK(with_newcomer(std::make_unique<shortest_job_first>(preemptive)) == "aaabbaaa");
    CHECK(with_newcomer(std::make_unique<feedback_queues>(doubling(2, 3))) == "aaabbaaa");
}

TEST_CASE("a yielding task that throws or is canceled is over, and the others go on") {
    yielding_pool pool(std::make_unique<round_robin>(1), 2);
    const auto bad = pool.submit([]() -> step { throw std::runtime_error("bad step"); });
    CHECK_THROWS_WITH_AS(bad.result(), "bad step", std::runtime_error);
    std::atomic<int> steps = 0;
    const auto endless = pool.submit([&] {
        ++steps;
        return step::again;
    });
    while (steps < 10) std::this_thread::yield();
    CHECK(endless.cancel() == cancellation::requested);
    CHECK_THROWS_AS(endless.result(), future_canceled);
    pool.submit([] { return step::done; }).result();
    CHECK_THROWS_AS(pool.join(), std::logic_error);
    pool.close();
    CHECK_THROWS_AS(pool.submit([] { return step::done; }), std::logic_error);
    CHECK_THROWS_AS(yielding_pool(std::make_unique<round_robin>(1), 0), std::invalid_argument);
}

TEST_CASE("several threads work on many yielding tasks, each step by one of them at a time") {
    std::atomic<int> done = 0;
    {
        yielding_pool pool(std::make_unique<feedback_queues>(doubling(2, 3)), 3);
        for (int i = 0; i < 200; ++i) {
            pool.submit([&, left = i % 20 + 1]() mutable {
                if (--left > 0) return step::again;
                ++done;
                return step::done;
            });
        }
    }
    CHECK(done == 200);
}
