// Public: what a load has found, for people and for programs.
#pragma once

#include <span>
#include <string>

#include "clients/load/find_max.hpp"
#include "clients/load/options.hpp"
#include "clients/load/result.hpp"

namespace confab::load {

/// A line about what is going to be done.
std::string heading(const LoadOptions& options, const std::string& target);
/// A line about a stretch of the load that ends `at` after its beginning.
std::string progress_line(Duration at, const Block& block);
/// What came of it, some lines.
std::string summary(const LoadOptions& options, const LoadResult& result);
/// All of it as one JSON object, the whole histograms included, and a newline. docs/benchmarks.md names the
/// members.
std::string json(const LoadOptions& options, const LoadResult& result, std::span<const Slo> slos,
                 const std::string& target);

/// A line about an SLO.
std::string verdict_line(const Slo& slo, const Judgement& judgement);

/// Why the rate was not reached, for the search; empty: it was.
std::string probe_failure(double rate, const LoadResult& result);
/// A line about one load of a search.
std::string probe_line(double rate, const Slo& slo, const LoadResult& result, const std::string& failure);
/// What a search has found, a line.
std::string interval_text(const RateInterval& interval);
std::string json(const Slo& slo, const RateInterval& interval, const std::string& target);

/// Its faults, as part of a sentence.
std::string fault_list(const LoadResult& result);

/// A duration as people read it: three digits and a unit ("1.23 ms").
std::string text_of(Duration duration);

}  // namespace confab::load
