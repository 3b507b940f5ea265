// Public: who is measured under which loads, in which order.
#pragma once

#include <string>
#include <vector>

#include "bench/compare/record.hpp"
#include "bench/compare/workloads.hpp"

namespace confab::compare {

/// A way of serving, under a name of its own.
struct Contender {
    std::string name;                ///< "epoll", "epoll again", "threadpool:64", "2x2xuring"
    std::vector<std::string> flags;  ///< for `confab serve`

    /// Callbacks serve echo and upper only.
    bool can(const Level& level) const;
};

/// What the twin of the reference is called.
std::string twin_of(const std::string& reference);

/// "all", or a list of names of strategies, each perhaps with a size (threadpool:64, prefork:64, percore:4),
/// or triples (2x1xepoll). Throws std::runtime_error, a sentence that says what is allowed.
std::vector<std::string> parse_strategies(const std::string& list);

/// Those that take part: the strategies, and the reference's twin behind the reference. Requires: parsed.
std::vector<Contender> contenders(const Settings& settings);

/// Levels of the workloads, in order; of a quick run one each.
struct Place {
    const Workload* workload;
    const Level* level;
};
std::vector<Place> places(const Settings& settings);

/// A cell to be measured.
struct Planned {
    unsigned block;
    Place place;
    Contender contender;
};

/// Randomised complete blocks: in each block every contender once at every place, place by place, so that
/// those who are compared run close to each other; the contenders in an order that is drawn anew each time.
/// The same settings give the same plan.
std::vector<Planned> plan(const Settings& settings);

/// What is left of a plan when these cells are done.
std::vector<Planned> without(std::vector<Planned> plan, const std::vector<Cell>& done);

/// About how long a cell takes, in seconds, before any has been measured.
double expected_seconds(const Settings& settings);

}  // namespace confab::compare
