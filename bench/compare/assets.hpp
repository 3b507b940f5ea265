// Internal to bench: what the HTML report is made of; the build puts it in (embed.py).
#pragma once

#include <string_view>

namespace confab::compare {

extern const std::string_view page_style, page_script, chart_library;

}  // namespace confab::compare
