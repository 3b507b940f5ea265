// Public: a comparison as text, for a terminal.
#pragma once

#include <string>
#include <vector>

#include "bench/compare/analysis.hpp"
#include "bench/compare/record.hpp"
#include "bench/compare/runner.hpp"

namespace confab::compare {

/// What is going to be done, and how long it will take.
std::string heading(const Record& record);
/// The tables, with a decision under each.
std::string text_report(const Record& record);
/// How a comparison differs from an earlier one.
std::string text_of(const std::vector<Change>& changes);
/// One line: how far it is, and what comes next.
std::string text_of(const Progress& progress);

/// Columns aligned: the first to the left, the rest to the right. The first row is the head.
std::string aligned(const std::vector<std::vector<std::string>>& rows);
/// A figure with so many digits as it is worth; "-" when it is unknown.
std::string text_of(double figure);
/// "4.0 %" of a noise floor of 1.04; "unknown".
std::string text_of_noise(double floor);
/// "2 min 5 s".
std::string text_of_seconds(double seconds);
const char* name(Verdict verdict);

}  // namespace confab::compare
