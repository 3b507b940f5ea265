// Internal to bench: contenders that take turns, and one JSON object of their times.
//
// The contenders take turns within a round, so that a slow moment of the machine hits all alike; the first
// round warms up and is not reported. Time is the wall's, since what two threads do to each other is no CPU
// time. Counts are fixed, and what the threads reckon must come out right.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <latch>
#include <string>
#include <thread>
#include <vector>

namespace confab::bench {

struct Sample {
    double nanoseconds;  // all operations together
    bool is_right;
};

struct Contender {
    std::string measure;
    std::string name;
    std::function<Sample(std::uint64_t count)> run;
    std::uint64_t share =
        1;  // does that part of the count: an operation that sleeps takes a thousand times longer
};

struct Options {
    std::uint64_t rounds = 40;
    std::uint64_t count = 100'000;
};

/// Of `program [--rounds N] [--count N]`; ends the program for anything else.
Options parse_options(const char* program, int argc, char** argv);

/// Runs all rounds and prints {"rounds":N,"count":N,"measures":{measure:{contender:[nanoseconds an operation,
/// a figure a round]}}}. Contenders of one measure follow each other; the first is the one that the others
/// are divided by. Gives the program's exit code: 1 when something came out wrong.
int measure_and_print(const char* program, const Options& options, const std::vector<Contender>& contenders);

template <class Work>
double time_of(Work work) {
    const auto start = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start).count();
}

/// Runs `work(0)` to `work(threads - 1)` on so many threads that begin together; from the first beginning to
/// the last end.
template <std::size_t threads, class Work>
double time_of_threads(Work work) {
    using Clock = std::chrono::steady_clock;
    std::array<Clock::time_point, threads> begun;
    std::array<Clock::time_point, threads> ended;
    std::latch begin(threads);
    const auto run = [&](std::size_t self) {
        begin.arrive_and_wait();
        begun[self] = Clock::now();
        work(static_cast<int>(self));
        ended[self] = Clock::now();
    };
    {
        std::vector<std::jthread> others;
        for (std::size_t i = 1; i < threads; ++i) others.emplace_back(run, i);
        run(0);
    }
    return std::chrono::duration<double, std::nano>(std::ranges::max(ended) - std::ranges::min(begun))
        .count();
}

}  // namespace confab::bench
