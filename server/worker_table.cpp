#include "server/worker_table.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <tuple>

namespace confab {

namespace {

// A process a connection can be thousands of lines, which nobody reads.
constexpr std::size_t most_rows = 100;

const char* name_of(WorkerLine::State state) {
    switch (state) {
        case WorkerLine::State::starting:
            return "starting";
        case WorkerLine::State::ready:
            return "ready";
        case WorkerLine::State::retiring:
            return "retiring";
        case WorkerLine::State::draining:
            return "draining";
    }
    return "";
}

WorkerStatus status_of(const WorkerLine& line, pid_t pid) {
    using std::chrono::steady_clock;
    const steady_clock::time_point since{steady_clock::duration(line.since)};
    return {.pid = pid,
            .place = line.place,
            .state = line.state,
            .age = std::chrono::floor<std::chrono::seconds>(steady_clock::now() - since),
            .connections = line.connections,
            .served = line.served,
            .receives = line.receives + line.pulse.receives,
            .usage = usage_of(pid).value_or(ProcessUsage{}),
            .restarts = line.restarts,
            .last_end = line.last_end};
}

std::string row_of(const WorkerStatus& worker) {
    const std::string place = worker.place == WorkerLine::no_place ? "-" : std::to_string(worker.place);
    const double processor_seconds = std::chrono::duration<double>(worker.usage.processor_time).count();
    std::array<char, 256> row{};  // all columns at their widest, and the longest last end
    const int length = std::snprintf(
        row.data(), row.size(), "%5s %8d  %-8s %6lld %12zu %10llu %11llu %9.2f %10llu %9u  %s\n",
        place.c_str(), static_cast<int>(worker.pid), name_of(worker.state),
        static_cast<long long>(worker.age.count()), worker.connections,
        static_cast<unsigned long long>(worker.served), static_cast<unsigned long long>(worker.receives),
        processor_seconds, static_cast<unsigned long long>(worker.usage.memory_bytes / 1024), worker.restarts,
        worker.last_end.text().c_str());
    return {row.data(), std::min(static_cast<std::size_t>(std::max(length, 0)), row.size() - 1)};
}

}  // namespace

std::vector<WorkerStatus> status_of(const Scoreboard& scoreboard) {
    std::vector<WorkerStatus> all;
    for (const WorkerLine& line : scoreboard.lines()) {
        const pid_t pid = line.pid;
        if (pid != 0) all.push_back(status_of(line, pid));
    }
    std::ranges::sort(all, {},
                      [](const WorkerStatus& worker) { return std::tuple(worker.place, worker.age); });
    return all;
}

std::string worker_table(std::span<const WorkerStatus> workers, const std::string& strategy) {
    std::size_t connections = 0;
    for (const WorkerStatus& worker : workers) connections += worker.connections;
    std::string text =
        "processes that serve: " + std::to_string(workers.size()) +
        ", connections: " + std::to_string(connections) + " (strategy " + strategy + ")\n" +
        "place      pid  state     age s  connections     served    received     cpu s  memory kB  restarts  "
        "last end\n";
    for (const WorkerStatus& worker : workers.first(std::min(workers.size(), most_rows))) {
        text += row_of(worker);
    }
    if (workers.size() > most_rows) {
        text += "... and " + std::to_string(workers.size() - most_rows) + " more\n";
    }
    return text;
}

}  // namespace confab
