// Public: what a comparison has measured, as it is kept in a file.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "clients/load/histogram.hpp"

namespace confab::compare {

inline constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

/// What one server did under one load; `unknown` where nobody could tell. A request is a message that was
/// answered; in a chat, a line that was delivered to somebody.
struct Figures {
    double rate = unknown;     ///< requests a second
    double goodput = unknown;  ///< those of them that took no longer than `goodput_limit_ms`
    double p50_ms = unknown;   ///< latency, in an open loop from when the request was due
    double p99_ms = unknown;
    double max_ms = unknown;
    double cpu_us = unknown;        ///< the server's processor time a request
    double user_us = unknown;       ///< the part of it in the program
    double system_us = unknown;     ///< the part of it in the kernel
    double switches = unknown;      ///< context switches a request, when the server had nothing to do
    double preemptions = unknown;   ///< and when it had to make room for others
    double system_calls = unknown;  ///< system calls a request, from the server's own ledger
    double controls = unknown;      ///< those of them that only prepare others (epoll_ctl and the like)
    double events = unknown;        ///< operations that a wait or a ring brought, each time
    double memory_kib = unknown;    ///< a connection: proportional set size
    double kernel_kib = unknown;    ///< a connection: page tables and the stacks of threads in the kernel
    double served = unknown;        ///< connections that had an answer
    double starved = unknown;       ///< connections that never had one
    double bystanders = unknown;    ///< those beside the load who are there (see load::LoadOptions)
    double never_sent = unknown;    ///< messages that were due and found no connection free
    double busiest = unknown;       ///< the busiest thread's share of the server's processor time
    double fairness = unknown;  ///< Jain's index of the answers to each connection: 1 is even, 1/n all to one
    double recovery_s = unknown;       ///< after a spike, until the latency is again what it was before
    double hiccup_p99_ms = unknown;    ///< how late the generator itself got to run
    double generator_cores = unknown;  ///< how busy it was
    double stolen_percent = unknown;   ///< of the machine's time, by its host
};

inline constexpr double goodput_limit_ms = 10;

/// A figure by its name.
struct Metric {
    const char* name;   ///< in files
    const char* title;  ///< for people, the unit included
    double Figures::* figure;
    bool more_is_better;
};
std::span<const Metric> metrics();
/// Requires: there is one of that name.
const Metric& metric(std::string_view name);

/// A part of the course of a load.
struct Slice {
    double seconds;  ///< at its end, since the beginning
    double rate;
    double p99_ms;
};

/// One server, one load.
struct Cell {
    unsigned block = 0;
    std::string workload;   ///< "W3"
    std::string level;      ///< "1000 idle"
    std::string contender;  ///< "epoll"; the reference's twin: "epoll again"
    Figures figures;
    std::string
        failure;  ///< why there are no figures, or what was wrong with the answers; empty: all was well
    /// Why latency and rate are not the server's: sentences.
    std::vector<std::string> limits;
    std::vector<Slice> course;           ///< of loads that change
    std::vector<std::uint32_t> answers;  ///< to each connection, where they were lasting ones
};

/// Latencies of all cells of a contender at a level: pairs of a duration's upper end in microseconds and how
/// many, to two digits.
using Spectrum = std::vector<std::pair<double, std::uint64_t>>;
struct Spectra {
    Spectrum corrected;    ///< from when requests were due
    Spectrum uncorrected;  ///< from when they were sent; empty in a closed loop
};

/// Adds what `histogram` has counted.
void add(Spectrum& spectrum, const load::Histogram& histogram);

/// What was asked for.
struct Settings {
    std::vector<std::string> strategies;
    std::vector<std::string> workloads;
    std::string reference;    ///< the strategy that has a twin
    unsigned blocks = 10;     ///< each has every contender once at every level
    double seconds = 1;       ///< measured in a cell
    double warmup = 0.25;     ///< before that
    bool quick = false;       ///< one level a workload
    bool literature = false;  ///< the levels that literature.hpp needs
    double budget_s = 0;      ///< begins no cell after that; 0: no limit
    std::uint64_t seed = 0;   ///< of the order, and of what the loads leave to chance
    double capacity = 0;      ///< requests a second of the reference in W1, which rates are shares of
    friend bool operator==(const Settings&, const Settings&) = default;
};

/// Where it was measured: names and what they stand for, to be read by people.
using Environment = std::vector<std::pair<std::string, std::string>>;

struct Record {
    Settings settings;
    Environment environment;
    std::string command;  ///< with which it can be repeated
    double elapsed_s = 0;
    std::vector<Cell> cells;
    /// By workload, level and contender, each ended by a newline.
    std::map<std::string, Spectra> spectra;
};

std::string spectrum_key(const Cell& cell);

/// As one JSON object. docs/benchmarks.md names its members.
std::string to_json(const Record& record);
/// The same back. Throws std::runtime_error with a sentence when it is not such an object.
Record from_json(const std::string& text);

/// Reads and writes files; a file is replaced as a whole or not at all. Throws std::runtime_error, sentences.
Record read_record(const std::string& path);
void write_file(const std::string& path, const std::string& text);

}  // namespace confab::compare
