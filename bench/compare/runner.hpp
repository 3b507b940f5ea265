// Public: carries out a comparison.
#pragma once

#include <functional>
#include <string>

#include "bench/compare/record.hpp"

namespace confab::compare {

/// How far a comparison is.
struct Progress {
    std::size_t done = 0, all = 0;  ///< cells
    double left_s = 0;              ///< about how long the rest takes
    const Cell* cell = nullptr;     ///< the last one
};

/// What a comparison is told to do, and by whom.
struct RunnerOptions {
    std::string program;                              ///< confab's path, which serves
    std::function<void(const Progress&)> progress{};  ///< after each cell
    std::function<void(const Record&)> save{};        ///< after each block, and at the end
};

/// Why it ended.
enum class Ending : std::uint8_t {
    complete,
    interrupted,  ///< SIGINT or SIGTERM
    out_of_time,  ///< Settings::budget_s
};

/// Measures what `record.settings` ask for and `record.cells` do not hold yet, with what is there kept. The
/// capacity is measured first, unless it is known. A SIGINT or SIGTERM ends it after throwing away the cell
/// that is being measured; a second one ends the program, and the servers with it. Call it from the main
/// thread, while there is no other.
Ending run(Record& record, const RunnerOptions& options);

/// About how long `run` will take, in seconds.
double expected_run_seconds(const Record& record);

/// What this machine and this program are.
Environment environment();

}  // namespace confab::compare
