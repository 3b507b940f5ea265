// Internal to server: connections that one process accepts for another.
//
// A feed is a pair of Unix sockets that keep messages apart (SOCK_SEQPACKET, unix(7)). The one who accepts
// sends a message with one descriptor (SCM_RIGHTS) for each connection; the other says which have ended, and
// which have come to it from elsewhere.
#pragma once

#include <expected>
#include <system_error>

#include "pools/fd.hpp"

namespace confab::feed {

struct Pair {
    Fd giver;
    Fd taker;
};
/// Both ends non-blocking and close-on-exec. Throws std::system_error.
Pair make();

/// Sends `connection`, which stays the caller's. An error when the taker has gone (EPIPE) or is that far
/// behind (EAGAIN).
std::error_code send(int giver, int connection);

/// A connection that was sent. Errors: EAGAIN, there is none; ENOTCONN, the giver has gone; EMFILE, it has
/// come and there was no descriptor for it: it is closed.
std::expected<Fd, std::error_code> receive(int taker);

/// Says that a connection has ended. Without effect when the giver has gone.
void acknowledge(int taker);
/// Says that there is one more, which the giver has not sent. Without effect when the giver has gone.
void announce(int taker);
/// By how many there are fewer than the last time. Never waits.
int acknowledged(int giver);

}  // namespace confab::feed
