// Public: the reactor's notion of time, which is everybody's.
#pragma once

#include "pools/clock.hpp"
