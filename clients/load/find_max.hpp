// Public: the highest rate at which an SLO is held.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "clients/load/slo.hpp"

namespace confab::load {

/// What one load at a rate has shown.
struct Probe {
    std::vector<Evidence> evidence;
    /// Why the rate was not reached, whatever the latencies: the search goes lower. Empty: it was.
    std::string failure;
};

struct RateSearch {
    double start = 1000;      ///< messages a second to begin with
    double precision = 0.05;  ///< ends when what is left is no larger a part of the rate
    std::size_t repeats = 4;  ///< loads at one rate, at most, until the evidence decides
    std::size_t probes = 40;  ///< loads in all, at most
    double most = 1e8;        ///< messages a second
};

/// The SLO holds at `held` (0: at no rate that was tried) and not at `missed` (infinite: at any); in between
/// lies what was not tried or is too noisy to tell.
struct RateInterval {
    double held = 0;
    double missed = 0;
    std::size_t probes = 0;
    /// True exactly when what is left between the two is within the precision.
    bool is_narrow = false;
};

/// Doubles the rate as long as the SLO is held, then halves what is left between what was held and what was
/// missed. One noisy load sends it nowhere: a rate is tried again until the evidence of all loads at it
/// decides, and one that stays unclear is neither held nor missed. `probe` runs a load at a rate.
RateInterval find_max_rate(const Slo& slo, const RateSearch& search,
                           const std::function<Probe(double)>& probe);

}  // namespace confab::load
