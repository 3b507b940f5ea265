// Ten jobs that each wait a tenth of a second, on a pool of four. apply waits for each result before the next
// job is submitted, so the pool might as well have one thread. apply_async submits all of them and fetches
// the results later.
#include <chrono>
#include <confab/pools/thread_pool.hpp>
#include <cstdio>
#include <thread>
#include <vector>

using Clock = std::chrono::steady_clock;

constexpr int jobs = 10;
constexpr auto job_time = std::chrono::milliseconds(100);

int square(int n) {
    std::this_thread::sleep_for(job_time);  // a request to somewhere, say
    return n * n;
}

void report(const char* how, Clock::time_point begin, const std::vector<int>& results) {
    const std::chrono::duration<double> time = Clock::now() - begin;
    std::printf("%s: %.2f s:", how, time.count());
    for (const int result : results) std::printf(" %d", result);
    std::putchar('\n');
}

int main() {
    confab::thread_pool pool({.threads = 4});

    Clock::time_point begin = Clock::now();
    std::vector<int> results;
    for (int i = 0; i < jobs; ++i) results.push_back(pool.apply(square, i));
    report("apply", begin, results);

    begin = Clock::now();
    std::vector<confab::future<int>> submitted;
    for (int i = 0; i < jobs; ++i) submitted.push_back(pool.apply_async(square, i));
    results.clear();
    for (const confab::future<int>& each : submitted) results.push_back(each.result());
    report("apply_async", begin, results);

    // There is no need to join before the results are fetched, nor at all: at its end the pool joins itself.
}
