// Internal to server: the first bytes of a connection decide what is spoken on it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "coro/stream.hpp"
#include "coro/task.hpp"

namespace confab::chat {

enum class Speaks : std::uint8_t {
    unknown,  ///< more has to come before anybody can say
    line,
    http,
};

/// What somebody speaks who begins with `bytes`: HTTP, if that is a method and what may stand behind one.
Speaks who_speaks(std::string_view bytes);

/// How a connection began.
struct Opening {
    Speaks speaks = Speaks::unknown;  ///< unknown: the task was asked to stop before that was clear
    std::string heard;                ///< has been received, and not been looked at
};

/// Listens until it is clear what is spoken. Who says nothing for a fifth of a second is a person, waiting to
/// be greeted. `heard`: what has come already.
task<Opening> hear_opening(Stream& stream, std::string heard);

}  // namespace confab::chat
