// Internal to tests: the sockets of a simulated network, for every_mechanism.hpp.
#pragma once

#include <memory>

#include "reactor/simulated.hpp"
#include "tests/reactor/every_mechanism.hpp"

namespace confab::testing {

std::unique_ptr<Sockets> make_simulated_sockets(const SimulationOptions& options);

/// The worlds in which a body is run: with both disciplines of lending, prompt ones and some in which
/// everything takes its time and comes as it likes.
std::vector<SimulationOptions> simulated_worlds();

}  // namespace confab::testing
