// Public: all that a program with a handler needs. <confab/confab.hpp>
#pragma once

#include "coro/channel.hpp"
#include "coro/condition.hpp"
#include "coro/event.hpp"
#include "coro/listener.hpp"
#include "coro/mutex.hpp"
#include "coro/run.hpp"
#include "coro/scope.hpp"
#include "coro/semaphore.hpp"
#include "coro/sleep.hpp"
#include "coro/stream.hpp"
#include "coro/task.hpp"
#include "coro/timeout.hpp"
#include "server/run_server.hpp"
