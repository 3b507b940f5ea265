// Internal to bench: one cell of a comparison: a fresh server, one load, what both have to say.
#pragma once

#include <string>

#include "bench/compare/plan.hpp"
#include "bench/compare/record.hpp"

namespace confab::compare {

struct Measured {
    Cell cell;
    Spectra spectra;
    bool interrupted = false;  ///< the cell is not to be kept
};

/// Runs `program` (confab's path) as the server of `planned`, and the load against it. What goes wrong with
/// the server or the load is in the cell's `failure`.
Measured measure(const std::string& program, const Settings& settings, const Planned& planned);

}  // namespace confab::compare
