// Public: a load at a terminal, as it runs.
#pragma once

#include <memory>

#include "clients/load/options.hpp"
#include "clients/load/run.hpp"

namespace confab::load {

/// Shows rate, latency, faults and the server's processor time on standard output, redrawn with every block,
/// and takes keys from standard input: arrow up and down change the rate of an open loop by a tenth, q ends
/// the load. The terminal is as it was when the view has died. One at a time in a process; `options` outlives
/// it. Throws std::system_error when the terminal cannot be set.
std::unique_ptr<Observer> make_live_view(const LoadOptions& options);

}  // namespace confab::load
