// Internal to reactor: what a ring's receives can do, found out by trying.
#pragma once

#include "reactor/uring_buffers.hpp"
#include "reactor/uring_features.hpp"
#include "reactor/uring_ring.hpp"

namespace confab {

/// Those of `allowed` that concern receiving from `buffers` and work: two bytes are sent through a pair of
/// sockets, which takes some ten microseconds. Requires: nothing in flight. Throws std::system_error when
/// there are no descriptors left to try with.
UringFeatures probe_receive(UringRing& ring, UringBuffers& buffers, UringFeatures allowed);

}  // namespace confab
