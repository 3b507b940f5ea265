// Public: what a face's conversation and whoever drives it have in common.
#pragma once

#include <cstdint>

namespace confab::chat {

/// What whoever drives a conversation has to do next.
enum class Next : std::uint8_t {
    receive,       ///< receive more and hand it to `receive`, or call `finish` at the end of input
    await_room,    ///< wait for Hub::room, then `go_on`
    await_reader,  ///< wait until the member has taken what is queued for him, then `go_on`
    end,           ///< he is out: send what is queued, and close
};

}  // namespace confab::chat
