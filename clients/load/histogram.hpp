// Public: how long things took, to three significant digits.
//
// The layout is HdrHistogram's: buckets of equal width up to 2047 ns, from there on 1024 buckets to each
// doubling, so a bucket is never wider than a thousandth of what it holds and the whole is one array. Two
// histograms add up bucket by bucket and lose nothing; percentiles of percentiles mean nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "pools/clock.hpp"

namespace confab::load {

/// Counts durations of up to an hour; a longer one counts as an hour, a negative one as zero. One thread at a
/// time. 264 KiB, allocated once.
class Histogram {
  public:
    static constexpr Duration longest = std::chrono::hours(1);

    Histogram();

    void record(Duration value, std::uint64_t times = 1) {
        const std::uint64_t clamped = clamp(value);
        counts_[bucket_of(clamped)] += times;
        count_ += times;
    }

    /// Adds all that `other` has counted.
    void add(const Histogram& other);
    void clear();

    bool empty() const { return count_ == 0; }
    std::uint64_t count() const { return count_; }

    /// The least duration that at least that share (0 to 1) of the values do not exceed, exact within a
    /// thousandth, never too small; zero when there are none.
    Duration at(double share) const;
    Duration least() const;
    Duration most() const { return at(1); }
    Duration mean() const;
    Duration deviation() const;

    /// The share of values, from 0 to 1, above `value`, exact for a value within a thousandth of it; zero
    /// when there are none.
    double share_above(Duration value) const;

    /// A run of values that the histogram cannot tell apart.
    struct Bucket {
        std::uint32_t index;
        std::uint64_t count;
    };
    /// The buckets that are not empty, shortest durations first: how to keep or write a histogram that is
    /// mostly empty.
    std::vector<Bucket> buckets() const;
    /// Adds what `buckets` gave.
    void add(const std::vector<Bucket>& buckets);
    /// The longest duration that falls into the bucket.
    static Duration upper_end(std::uint32_t index);

    /// The percentile distribution as HdrHistogram prints it (".hgrm"), in milliseconds, with `ticks` lines
    /// to each halving of the distance to 100 %.
    std::string hgrm(unsigned ticks = 5) const;

  private:
    // Values below 2^(half_bits + 1) have a bucket each.
    static constexpr unsigned half_bits = 10;
    static constexpr std::uint64_t half = std::uint64_t{1} << half_bits;

    static std::uint64_t clamp(Duration value);
    static std::size_t bucket_of(std::uint64_t value);
    static std::uint64_t least_in(std::size_t bucket);
    static std::uint64_t most_in(std::size_t bucket);
    std::uint64_t rank_of(double share) const;

    std::vector<std::uint64_t> counts_;
    std::uint64_t count_ = 0;
};

}  // namespace confab::load
