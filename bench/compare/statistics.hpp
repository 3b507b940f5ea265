// Public: what can be concluded from samples that are noisy and came in pairs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace confab::compare {

/// Of values that need not be in order; NaN when there are none.
double median(std::span<const double> values);

/// An estimate, and where it lies with 95 % confidence.
struct Interval {
    double value = 0;
    double low = 0, high = 0;
    std::size_t samples = 0;
};

/// The median of `values`, and the middle 95 % of the medians of as many drawn from them at random with
/// repetition, again and again (the bootstrap's percentile interval). The same values and seed give the same
/// interval. `samples` 0, and NaN: there are no values.
Interval median_interval(std::span<const double> values, std::uint64_t seed);

/// The ratio of the median of one set of values to that of another that has no pairs in common with it;
/// unknown values are left out. `samples`: of the smaller set.
Interval ratio_of_medians(std::span<const double> values, std::span<const double> others, std::uint64_t seed);

/// How many values lie far from the others: more than 3.5 by the modified z-score, which goes by the median
/// absolute deviation and so is not deceived by those it looks for. 0 of fewer than five. They are to be told
/// of, not left out.
std::size_t outliers(std::span<const double> values);

/// How one is to another by a figure of both, block by block.
enum class Verdict : std::uint8_t {
    better,
    worse,
    indistinguishable,  ///< the interval holds "the same", or the difference is no larger than the noise
    unclear,            ///< too few blocks to tell
};

/// Fewer blocks than this decide nothing: of two, one may be an accident.
inline constexpr std::size_t fewest_pairs = 3;

/// How far the median ratio of something to its own twin may be from 1, either way: what a measurement cannot
/// tell apart, 1.04 for four percent. NaN when there are too few to go by.
double noise_floor(const Interval& twins);

/// `ratio`: of this one's figure to the other one's. `floor`: of the noise, at least 1, or NaN: then it is
/// unclear.
Verdict verdict(const Interval& ratio, double floor, bool more_is_better);

/// Jain's index: 1 when all are equal, 1/n when one has everything; NaN when nobody has anything.
double jain_index(std::span<const std::uint32_t> shares);

}  // namespace confab::compare
