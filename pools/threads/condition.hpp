// Public: waiting for a change of what a lock protects, between threads.
#pragma once

#include "pools/basic_condition.hpp"

namespace confab::threads {

using condition = basic_condition<FutexScope::threads>;

}  // namespace confab::threads
