// What a task costs in a pool, from submit to result: beside oneTBB, std::async, and (for processes) nothing.
#include <atomic>
#include <cstdint>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#ifdef CONFAB_HAS_TBB
#include <tbb/task_arena.h>
#include <tbb/task_group.h>
#endif

#include "bench/pools/measures.hpp"
#include "pools/process_pool.hpp"
#include "pools/thread_pool.hpp"

namespace confab::bench {
namespace {

constexpr std::size_t workers = 2;
constexpr std::uint64_t crowd = 1000;

std::uint64_t same(std::uint64_t value) { return value; }

constexpr std::uint64_t sum_below(std::uint64_t count) { return count * (count - 1) / 2; }

// One operation: a task, submitted and waited for.
template <class Submit>
Sample one_by_one(std::uint64_t count, Submit submit) {
    std::uint64_t sum = 0;
    const double spent = time_of([&] {
        for (std::uint64_t i = 0; i < count; ++i) sum += submit(i);
    });
    return {spent, sum == sum_below(count)};
}

// One operation: a task; a crowd of them is submitted, then waited for.
template <class Future, class Submit, class Result>
Sample in_crowds(std::uint64_t count, Submit submit, Result result) {
    std::uint64_t sum = 0;
    std::vector<Future> crowded;
    const double spent = time_of([&] {
        for (std::uint64_t begun = 0; begun < count; begun += crowd) {
            crowded.clear();
            for (std::uint64_t i = begun; i < std::min(count, begun + crowd); ++i)
                crowded.push_back(submit(i));
            for (Future& each : crowded) sum += result(each);
        }
    });
    return {spent, sum == sum_below(count)};
}

template <class Pool>
Sample pool_one_by_one(Pool& pool, std::uint64_t count) {
    return one_by_one(count, [&](std::uint64_t i) { return pool.submit(same, i).take(); });
}

template <class Pool>
Sample pool_in_crowds(Pool& pool, std::uint64_t count) {
    return in_crowds<future<std::uint64_t>>(
        count, [&](std::uint64_t i) { return pool.submit(same, i); },
        [](const auto& each) { return each.result(); });
}

Sample async_one_by_one(std::uint64_t count) {
    return one_by_one(count, [](std::uint64_t i) { return std::async(std::launch::async, same, i).get(); });
}

Sample async_in_crowds(std::uint64_t count) {
    return in_crowds<std::future<std::uint64_t>>(
        count, [](std::uint64_t i) { return std::async(std::launch::async, same, i); },
        [](auto& each) { return each.get(); });
}

#ifdef CONFAB_HAS_TBB
// As quick as it gets: an arena has no results, so the task itself wakes who waits.
Sample tbb_one_by_one(std::uint64_t count) {
    tbb::task_arena arena(workers, 0);
    return one_by_one(count, [&](std::uint64_t i) {
        std::uint64_t result = 0;
        std::atomic<bool> is_done = false;
        std::atomic<bool> is_left = false;
        arena.enqueue([&, i] {
            result = same(i);
            is_done = true;
            is_done.notify_one();
            is_left = true;
        });
        is_done.wait(false);
        while (!is_left) std::this_thread::yield();  // notify_one still looks at what it notifies
        return result;
    });
}

// The thread that waits for a group works, too.
Sample tbb_in_crowds(std::uint64_t count) {
    tbb::task_arena arena(workers);
    tbb::task_group group;
    std::uint64_t sum = 0;
    std::vector<std::uint64_t> results(crowd);
    const double spent = time_of([&] {
        for (std::uint64_t begun = 0; begun < count; begun += crowd) {
            const std::uint64_t size = std::min(crowd, count - begun);
            arena.execute([&] {
                for (std::uint64_t i = 0; i < size; ++i) group.run([&, i] { results[i] = same(begun + i); });
                group.wait();
            });
            for (std::uint64_t i = 0; i < size; ++i) sum += results[i];
        }
    });
    return {spent, sum == sum_below(count)};
}
#endif

std::vector<Contender> contenders(thread_pool& threads, process_pool& processes) {
    std::vector<Contender> all;
    const std::string alone = "submit to result";
    const std::string together = "a task of a thousand";
#ifdef CONFAB_HAS_TBB
    all.push_back({alone, "oneTBB's task_arena", tbb_one_by_one, 10});
#endif
    all.push_back({alone, "std::async", async_one_by_one, 100});
    all.push_back(
        {alone, "thread_pool", [&](std::uint64_t count) { return pool_one_by_one(threads, count); }, 10});
#ifdef CONFAB_HAS_TBB
    all.push_back({together, "oneTBB's task_group", tbb_in_crowds});
#endif
    all.push_back({together, "std::async", async_in_crowds, 50});
    all.push_back(
        {together, "thread_pool", [&](std::uint64_t count) { return pool_in_crowds(threads, count); }});
    all.push_back({alone + ", in a process", "process_pool",
                   [&](std::uint64_t count) { return pool_one_by_one(processes, count); }, 20});
    all.push_back({together + ", in processes", "process_pool",
                   [&](std::uint64_t count) { return pool_in_crowds(processes, count); }, 10});
    return all;
}

}  // namespace
}  // namespace confab::bench

int main(int argc, char** argv) {
    using namespace confab::bench;
    const Options options = parse_options("executors_bench", argc, argv);
    confab::process_pool processes({.processes = workers});  // before the first thread
    confab::thread_pool threads({.threads = workers});
    return measure_and_print("executors_bench", options, contenders(threads, processes));
}
