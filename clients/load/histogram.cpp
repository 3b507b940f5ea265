#include "clients/load/histogram.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <iterator>

namespace confab::load {

namespace {

double milliseconds(Duration value) { return std::chrono::duration<double, std::milli>(value).count(); }

}  // namespace

Histogram::Histogram() : counts_(bucket_of(clamp(longest)) + 1) {}

std::uint64_t Histogram::clamp(Duration value) {
    return static_cast<std::uint64_t>(std::clamp(value, Duration::zero(), longest).count());
}

std::size_t Histogram::bucket_of(std::uint64_t value) {
    constexpr std::size_t exact_bits = half_bits + 1;
    const std::size_t shift =
        std::max(static_cast<std::size_t>(std::bit_width(value)), exact_bits) - exact_bits;
    return (shift << half_bits) + (value >> shift);
}

std::uint64_t Histogram::least_in(std::size_t bucket) {
    if (bucket < 2 * half) return bucket;
    const std::size_t shift = (bucket >> half_bits) - 1;
    return (bucket - (shift << half_bits)) << shift;
}

std::uint64_t Histogram::most_in(std::size_t bucket) { return least_in(bucket + 1) - 1; }

Duration Histogram::upper_end(std::uint32_t index) {
    return std::min(Duration(static_cast<Duration::rep>(most_in(index))), longest);
}

void Histogram::add(const Histogram& other) {
    if (other.empty()) return;
    for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
    count_ += other.count_;
}

void Histogram::add(const std::vector<Bucket>& buckets) {
    for (const Bucket& bucket : buckets) {
        counts_[bucket.index] += bucket.count;
        count_ += bucket.count;
    }
}

void Histogram::clear() {
    if (empty()) return;
    std::ranges::fill(counts_, 0);
    count_ = 0;
}

std::uint64_t Histogram::rank_of(double share) const {
    const double rank = std::ceil(std::clamp(share, 0.0, 1.0) * static_cast<double>(count_));
    return std::clamp(static_cast<std::uint64_t>(rank), std::uint64_t{1}, count_);
}

Duration Histogram::at(double share) const {
    if (empty()) return Duration::zero();
    std::uint64_t left = rank_of(share);
    std::size_t bucket = 0;
    while (counts_[bucket] < left) left -= counts_[bucket++];
    return upper_end(static_cast<std::uint32_t>(bucket));
}

Duration Histogram::least() const {
    const auto first = std::ranges::find_if(counts_, [](std::uint64_t count) { return count != 0; });
    if (first == counts_.end()) return Duration::zero();
    return Duration(static_cast<Duration::rep>(least_in(static_cast<std::size_t>(first - counts_.begin()))));
}

// A value counts as the middle of its bucket.
Duration Histogram::mean() const {
    if (empty()) return Duration::zero();
    double sum = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
        sum += static_cast<double>(counts_[i]) * (static_cast<double>(least_in(i) + most_in(i)) / 2);
    }
    return Duration(std::llround(sum / static_cast<double>(count_)));
}

Duration Histogram::deviation() const {
    if (empty()) return Duration::zero();
    const auto middle = static_cast<double>(mean().count());
    double sum = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
        const double distance = static_cast<double>(least_in(i) + most_in(i)) / 2 - middle;
        sum += static_cast<double>(counts_[i]) * distance * distance;
    }
    return Duration(std::llround(std::sqrt(sum / static_cast<double>(count_))));
}

double Histogram::share_above(Duration value) const {
    if (empty()) return 0;
    std::uint64_t above = 0;
    for (std::size_t i = bucket_of(clamp(value)) + 1; i < counts_.size(); ++i) above += counts_[i];
    return static_cast<double>(above) / static_cast<double>(count_);
}

std::vector<Histogram::Bucket> Histogram::buckets() const {
    std::vector<Bucket> used;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
        if (counts_[i] != 0) used.push_back({static_cast<std::uint32_t>(i), counts_[i]});
    }
    return used;
}

std::string Histogram::hgrm(unsigned ticks) const {
    std::string text = fmt::format("{:>12} {:>14} {:>10} {:>14}\n\n", "Value", "Percentile", "TotalCount",
                                   "1/(1-Percentile)");
    const auto used = buckets();
    std::uint64_t below = 0;
    double next = 0;  // the share that the next line is about
    for (const Bucket& bucket : used) {
        below += bucket.count;
        const double share = static_cast<double>(below) / static_cast<double>(count_);
        if (share < next) continue;
        const double value = milliseconds(upper_end(bucket.index));
        if (below == count_) {
            text += fmt::format("{:12.3f} {:.12f} {:10}\n", value, 1.0, below);
            break;
        }
        text += fmt::format("{:12.3f} {:.12f} {:10} {:14.2f}\n", value, share, below, 1 / (1 - share));
        // Each halving of what is left to 100 % is cut into `ticks` steps.
        const double halvings = std::floor(std::log2(1 / (1 - share))) + 1;
        next = share + 1 / (ticks * std::exp2(halvings));
    }
    text += fmt::format("#[Mean    = {:12.3f}, StdDeviation   = {:12.3f}]\n", milliseconds(mean()),
                        milliseconds(deviation()));
    text += fmt::format("#[Max     = {:12.3f}, Total count    = {:12}]\n", milliseconds(most()), count_);
    text +=
        fmt::format("#[Buckets = {:12}, SubBuckets     = {:12}]\n", (counts_.size() >> half_bits), 2 * half);
    return text;
}

}  // namespace confab::load
