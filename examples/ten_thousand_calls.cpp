// Ten thousand calls of an API, each of which creates a job: one by one, and a hundred at a time. A call does
// nothing but wait for the other side, so a hundred threads need no more processors than one, and are done
// about a hundred times sooner.
#include <chrono>
#include <confab/pools/guard.hpp>
#include <confab/pools/thread_pool.hpp>
#include <confab/pools/threads/mutex.hpp>
#include <cstdio>
#include <ranges>
#include <set>
#include <thread>

namespace threads = confab::threads;
using Clock = std::chrono::steady_clock;

constexpr int calls = 10'000;
constexpr int at_a_time = 100;
constexpr auto call_time = std::chrono::microseconds(100);

// The other side. It serves everybody at once, as servers do; only the list has to be locked.
class JobService {
  public:
    void create(int number) {
        std::this_thread::sleep_for(call_time);  // there and back
        const confab::guard held(lock_);
        jobs_.insert(number);
    }
    std::size_t jobs() {
        const confab::guard held(lock_);
        return jobs_.size();
    }

  private:
    threads::mutex lock_{"jobs"};
    std::set<int> jobs_;
};

void report(const char* how, JobService& service, Clock::time_point begin) {
    const std::chrono::duration<double> time = Clock::now() - begin;
    std::printf("%s: %zu jobs in %.2f s\n", how, service.jobs(), time.count());
}

void one_by_one() {
    JobService service;
    const auto begin = Clock::now();
    for (int number = 0; number < calls; ++number) service.create(number);
    report("one by one", service, begin);
}

void concurrently() {
    JobService service;
    const auto begin = Clock::now();
    confab::thread_pool pool({.threads = at_a_time});
    // map hands the numbers out in chunks, and returns when all are done.
    pool.map([&service](int number) { service.create(number); }, std::views::iota(0, calls));
    report("a hundred at a time", service, begin);
}

int main() {
    one_by_one();
    concurrently();
}
