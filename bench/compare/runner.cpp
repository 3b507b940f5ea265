#include "bench/compare/runner.hpp"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <stdexcept>
#include <utility>
#include <vector>

#include "bench/compare/analysis.hpp"
#include "bench/compare/measure.hpp"
#include "bench/compare/plan.hpp"
#include "bench/compare/statistics.hpp"

namespace confab::compare {

namespace {

using Clock = std::chrono::steady_clock;

constexpr unsigned capacity_probes = 3;

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

volatile std::sig_atomic_t endings_asked = 0;

void ask_for_the_end(int signal) {
    endings_asked = endings_asked + 1;
    if (endings_asked > 1) ::_exit(128 + signal);
}

/// While it lives, the first SIGINT or SIGTERM between two loads is noted. (During a load, the load takes
/// it.)
class EndingsNoted {
  public:
    EndingsNoted() {
        endings_asked = 0;
        struct sigaction action{};
        action.sa_handler = &ask_for_the_end;
        ::sigaction(SIGINT, &action, &interrupt_before_);
        ::sigaction(SIGTERM, &action, &terminate_before_);
    }
    EndingsNoted(const EndingsNoted&) = delete;
    EndingsNoted& operator=(const EndingsNoted&) = delete;
    ~EndingsNoted() {
        ::sigaction(SIGINT, &interrupt_before_, nullptr);
        ::sigaction(SIGTERM, &terminate_before_, nullptr);
    }
    static bool asked() { return endings_asked > 0; }

  private:
    struct sigaction interrupt_before_{}, terminate_before_{};
};

// Whether any level's rate is a share of the capacity.
bool needs_capacity(const Settings& settings) {
    return std::ranges::any_of(places(settings), [](const Place& place) {
        return place.level->capacity_share > 0 || place.level->spike;
    });
}

// What the reference can do with 64 connections; 0: interrupted. Throws std::runtime_error when it can do
// nothing.
double measure_capacity(const RunnerOptions& options, const Settings& settings) {
    const Workload& cost = workload("W1");
    const auto level = std::ranges::find_if(cost.levels, &Level::quick);
    const auto all = contenders(settings);
    const auto reference = std::ranges::find(all, settings.reference, &Contender::name);
    std::vector<double> rates;
    for (unsigned i = 0; i < capacity_probes; ++i) {
        const Measured probe =
            measure(options.program, settings,
                    {.block = 0, .place = {.workload = &cost, .level = &*level}, .contender = *reference});
        if (probe.interrupted || EndingsNoted::asked()) return 0;
        if (!probe.cell.failure.empty()) {
            throw std::runtime_error("the capacity of " + settings.reference +
                                     " cannot be measured: " + probe.cell.failure);
        }
        rates.push_back(probe.cell.figures.rate);
    }
    return median(rates);
}

void keep(Record& record, Measured&& measured) {
    Spectra& spectra = record.spectra[spectrum_key(measured.cell)];
    const auto merge = [](Spectrum& into, const Spectrum& from) {
        for (const auto& [end, count] : from) {
            const auto at =
                std::ranges::lower_bound(into, end, {}, [](const auto& pair) { return pair.first; });
            if (at != into.end() && at->first == end) {
                at->second += count;
            } else {
                into.insert(at, {end, count});
            }
        }
    };
    merge(spectra.corrected, measured.spectra.corrected);
    merge(spectra.uncorrected, measured.spectra.uncorrected);
    record.cells.push_back(std::move(measured.cell));
}

}  // namespace

double expected_run_seconds(const Record& record) {
    const Settings& settings = record.settings;
    auto cells = static_cast<double>(without(plan(settings), record.cells).size());
    if (settings.capacity == 0 && needs_capacity(settings)) cells += capacity_probes;
    const double all = cells * expected_seconds(settings);
    return settings.budget_s > 0 ? std::min(all, settings.budget_s) : all;
}

Ending run(Record& record, const RunnerOptions& options) {
    const EndingsNoted endings;
    const Clock::time_point start = Clock::now();
    const double elapsed_before = record.elapsed_s;
    const auto ended = [&](Ending ending) {
        record.elapsed_s = elapsed_before + seconds_since(start);
        if (options.save) options.save(record);
        return ending;
    };
    Settings& settings = record.settings;
    if (settings.capacity == 0 && needs_capacity(settings)) {
        settings.capacity = measure_capacity(options, settings);
        if (settings.capacity == 0) return ended(Ending::interrupted);
    }
    const std::vector<Planned> planned = without(plan(settings), record.cells);
    const Clock::time_point first = Clock::now();
    for (std::size_t i = 0; i < planned.size(); ++i) {
        const double each =
            i == 0 ? expected_seconds(settings) : seconds_since(first) / static_cast<double>(i);
        if (settings.budget_s > 0 && seconds_since(start) + each > settings.budget_s)
            return ended(Ending::out_of_time);
        Measured measured = measure(options.program, settings, planned[i]);
        // What decides is the generator's: once more, and then that is how it is.
        if (!counts(measured.cell, metric(planned[i].place.workload->decided_by)) && !EndingsNoted::asked())
            measured = measure(options.program, settings, planned[i]);
        if (measured.interrupted || EndingsNoted::asked()) return ended(Ending::interrupted);
        keep(record, std::move(measured));
        const std::size_t done = i + 1;
        if (options.progress) {
            options.progress({.done = done,
                              .all = planned.size(),
                              .left_s = seconds_since(first) / static_cast<double>(done) *
                                        static_cast<double>(planned.size() - done),
                              .cell = &record.cells.back()});
        }
        const bool block_is_over = done < planned.size() && planned[done].block != planned[i].block;
        if (block_is_over && options.save) {
            record.elapsed_s = elapsed_before + seconds_since(start);
            options.save(record);
        }
    }
    return ended(Ending::complete);
}

}  // namespace confab::compare
