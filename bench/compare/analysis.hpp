// Public: what a comparison has shown, and which strategy to choose for what.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bench/compare/plan.hpp"
#include "bench/compare/record.hpp"
#include "bench/compare/statistics.hpp"

namespace confab::compare {

/// One figure of one contender at one place, over all blocks.
struct Summary {
    Interval value;                      ///< median of the blocks
    Interval ratio;                      ///< to the reference's, block by block
    Verdict verdict = Verdict::unclear;  ///< against the reference
};

/// A contender at one place.
struct Row {
    std::string contender;
    std::size_t cells = 0;    ///< measured
    std::size_t limited = 0;  ///< of them, those whose latency, or rate, is the generator's and left out
    std::size_t outliers =
        0;                ///< blocks whose deciding figure lies far from the others'; they count all the same
    std::string failure;  ///< the first one; empty: there was none
    double served_share = 1;         ///< of the connections, in the worst block
    std::vector<Summary> summaries;  ///< of all metrics, in their order
    /// Against the twin: the reference's row has none.
    const Summary& of(const Metric& metric) const;
    /// True exactly when every connection was served and nothing failed.
    bool is_sound() const { return failure.empty() && served_share >= 1 && cells > 0; }
};

/// One place: a workload at a level.
struct Table {
    Place place;
    std::vector<Row> rows;      ///< in the order of the contenders
    std::vector<double> noise;  ///< of each metric: what cannot be told apart (see noise_floor)
};

/// "For this workload pick X; Y is within noise; avoid Z because ...".
struct Decision {
    struct Avoided {
        std::string contender;
        std::string why;
    };
    std::string pick;  ///< empty: nobody served everybody
    std::string why;   ///< a sentence
    std::vector<std::string> within_noise;
    std::vector<std::string> unclear;  ///< too few blocks to tell
    std::vector<Avoided> avoid;
    std::string text() const;
};

/// Whether that figure is the server's: latency is not where the generator itself was late, and the rate is
/// not where it had no processor time left. What the server spent is its own in any case.
bool counts(const Cell& cell, const Metric& metric);

/// How figures of a place come together: `record`'s cells of `place` and `contender`, one for each block, NaN
/// where there is none or where it does not count.
std::vector<double> figures_of(const Record& record, const Place& place, const std::string& contender,
                               const Metric& metric);

/// The ratios of `mine` to `theirs`, of the blocks in which both are known.
std::vector<double> ratios(const std::vector<double>& mine, const std::vector<double>& theirs);

std::vector<Table> tables(const Record& record);
Decision decide(const Record& record, const Table& table);

/// How the same figure has changed between two records, which need not have blocks in common.
struct Change {
    Place place;
    std::string contender;
    Interval ratio;  ///< of the new median to the old one
    double noise;    ///< the larger noise floor of the two
    Verdict verdict;
};
/// Of the metric by which each workload is decided, and of what both records have.
std::vector<Change> changes(const Record& before, const Record& after);

}  // namespace confab::compare
