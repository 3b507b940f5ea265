// Public: waiting for a change of what a lock protects, between processes, in memory they share.
#pragma once

#include "pools/basic_condition.hpp"

namespace confab::processes {

using condition = basic_condition<FutexScope::processes>;

}  // namespace confab::processes
