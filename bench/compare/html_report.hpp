// Public: a comparison as one page of HTML that needs nothing else.
#pragma once

#include <string>

#include "bench/compare/record.hpp"

namespace confab::compare {

/// A whole document, its styles, scripts and figures in it: a browser asks no network for anything. Some
/// 250 KiB, and more with the figures.
std::string html_report(const Record& record);

}  // namespace confab::compare
