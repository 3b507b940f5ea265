// Public: a flag that processes wait for, in memory they share.
#pragma once

#include "pools/basic_event.hpp"

namespace confab::processes {

using event = basic_event<FutexScope::processes>;

}  // namespace confab::processes
