// Public: the loads under which strategies are compared, each chosen to separate them in one way.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "clients/load/options.hpp"

namespace confab::compare {

/// One load, and the server that it needs.
struct Level {
    std::string name;    ///< "1000 idle"
    double x = 0;        ///< where it stands on a chart's axis: connections, or a share of the capacity
    bool quick = false;  ///< true exactly when a quick run has it
    bool crowd = false;  ///< many more clients than any pool has workers
    std::string app = "echo";
    std::string work = "none";  ///< of the handler (serve --work)
    load::LoadOptions load{};   ///< but for time, seed, and a rate that is a share of the capacity
    double capacity_share = 0;  ///< open loop at so much of what the reference can do; 0: as `load` says
    bool spike =
        false;  ///< the rate is half the capacity, then twice, then half again, a third of the time each
};

struct Workload {
    std::string id;          ///< "W3"
    std::string title;       ///< "Idle connections"
    std::string x_title;     ///< of a chart's axis; empty: its levels are not on a scale
    std::string separates;   ///< the expected mechanism, a sentence
    std::string decided_by;  ///< the metric by which one strategy is better than another
    std::vector<Level> levels;
};

/// W1 to W12, in order. They live for ever.
std::span<const Workload> workloads();

/// Those that "W1,W7" or "all" name, in their own order. Throws std::runtime_error, a sentence that says what
/// is allowed.
std::vector<std::string> parse_workloads(const std::string& list);
/// Requires: there is one of that id.
const Workload& workload(const std::string& id);

}  // namespace confab::compare
