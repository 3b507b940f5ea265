// Public: a flag that threads wait for.
#pragma once

#include "pools/basic_event.hpp"

namespace confab::threads {

using event = basic_event<FutexScope::threads>;

}  // namespace confab::threads
