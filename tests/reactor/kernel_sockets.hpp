// Internal to tests: the kernel's sockets, for every_mechanism.hpp.
#pragma once

#include <memory>

#include "tests/reactor/every_mechanism.hpp"

namespace confab::testing {

enum class Family : std::uint8_t { tcp4, tcp6, unix_path };

/// Whether this machine has them (containers without IPv6 exist).
bool available(Family family);

/// For a reactor that may use `uring_features` if it waits with io_uring.
std::unique_ptr<Sockets> make_kernel_sockets(Family family, const char* uring_features = "all");

}  // namespace confab::testing
