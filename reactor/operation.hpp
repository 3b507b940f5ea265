// Public: one request to a reactor - accept, connect, receive, send, close, release, poll, sleep.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>

#include "reactor/clock.hpp"
#include "reactor/job.hpp"

namespace confab {

using Bytes = std::span<const std::byte>;
/// Bytes that a reactor lends: whoever holds them may change them in place.
using LentBytes = std::span<std::byte>;

/// A link in the timer wheel; 32 bytes is all that a time limit costs the operation that carries it.
struct TimerNode {
    Instant deadline = never;
    Instant filed = never;  // the deadline by which the wheel has it, if it is armed
    TimerNode* timer_next = nullptr;
    TimerNode* timer_previous = nullptr;  // null exactly when not in a wheel

    bool armed() const { return timer_previous != nullptr; }
};

/// One request. It lives in the frame (or object) that waits for it; its address is its identity.
///
/// Set `deadline` before submit for a time limit.
///
/// Life: filled in by the caller -> `Reactor::submit` -> (in flight) -> `complete(*this)` once, on the
/// reactor's thread, with `result` set. From submit to complete it must neither move nor die: the kernel may
/// hold it. Cancelling only asks; the operation still completes exactly once.
///
/// `result` means the same under every mechanism: >= 0, or a negative errno. -ECANCELED: it was cancelled.
/// -ETIMEDOUT: its time limit passed. -EMFILE and the like are passed on unchanged.
struct Operation : Job, TimerNode {
    enum class Kind : std::uint8_t {
        accept,   ///< result: the new descriptor, close-on-exec. `fd` is a listening socket.
        connect,  ///< result: 0. `fd` is a fresh socket, `address` the peer. -EAGAIN: a Unix listener's queue
                  ///< is full.
        receive,  ///< result: number of bytes lent in `bytes`, 0 at end of stream.
        send,     ///< result: number of bytes, always all of `parts` unless it failed or was cancelled.
                  ///< `at_once`: what fits now, possibly less; -EAGAIN when nothing fits. One at a time on
                  ///< a descriptor.
        shutdown,  ///< result: 0. `how` as in shutdown(2). Never waits.
        close,     ///< result: 0. A join: everything else in flight on `fd` is cancelled and has completed
                   ///< first.
        poll,      ///< result: the poll(2) events that are there now. For descriptors with nothing else in
                   ///< flight.
        release,   ///< result: 0, or the error that was pending. Like close, but `fd` stays open, for
                   ///< somebody else to use: nothing here will touch it again. `bytes`: what had come and
                   ///< nobody has received, lent until `complete` returns, or until the next submit when
                   ///< the operation is over at once.
        sleep,     ///< result: 0 when `deadline` has come. Takes no descriptor.
    };
    enum class State : std::uint8_t {
        idle,       ///< with its owner
        in_flight,  ///< with the mechanism (or the timer wheel, for sleep)
        ready,      ///< over, or worth trying again; in the reactor's queue
    };
    using Completion = void (*)(Operation&) noexcept;

    Operation(Kind what, int descriptor, Completion when_done)
        : Job(nullptr), kind(what), fd(descriptor), complete(when_done) {}

    /// Of the kinds that are the last on their descriptor.
    bool is_last() const { return kind == Kind::close || kind == Kind::release; }

    Kind kind;
    State state = State::idle;
    bool cancel_requested = false;  ///< somebody asked; set by the reactor
    bool limited = false;           ///< the asking was the time limit's
    int fd;
    int result = 0;
    bool at_once = false;  ///< send, in: never waits for the peer
    /// Submitted again and again, each time with a deadline further on: its timer may stay where it is in
    /// between, which saves taking it out and putting it in. Whoever sets this calls Reactor::disarm before
    /// the operation dies.
    bool keeps_timer = false;
    Completion complete;

    struct Address {
        const sockaddr* data;
        socklen_t size;
    };
    struct Parts {
        iovec* data;          ///< changed as the send proceeds
        std::uint32_t count;  ///< at most IOV_MAX
        std::uint32_t done;   ///< bytes sent so far

        /// Accounts for `sent` bytes that the kernel took.
        void advance(std::size_t sent) {
            done += static_cast<std::uint32_t>(sent);
            while (count > 0 && sent >= data->iov_len) {
                sent -= data->iov_len;
                ++data;
                --count;
            }
            if (sent == 0) return;
            data->iov_base = static_cast<std::byte*>(data->iov_base) + sent;
            data->iov_len -= sent;
        }
        /// The result of a send at once that the kernel takes no more of.
        int taken() const { return done > 0 ? static_cast<int>(done) : -EAGAIN; }
    };
    union {
        LentBytes
            bytes;  ///< receive and release, out: lent, valid until the next receive or close on this fd, and
                    ///< under mechanisms with `Traits::lends_scratch` only until `complete` returns
        Parts parts;      ///< send, in: lent by the caller until completion
        Address address;  ///< connect, in: lent by the caller until completion
        int how;          ///< shutdown, in
        short events;     ///< poll, in
    };
};

}  // namespace confab
