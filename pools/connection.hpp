// Public: messages and descriptors between processes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pools/clock.hpp"
#include "pools/fd.hpp"

namespace confab {

enum class connection_error : std::uint8_t {
    closed,     ///< every copy of the other end is closed, and all that was sent has been received
    cut_short,  ///< the sender died, or gave up, in the middle of a message; what came of it is dropped
    too_long,   ///< the message is longer than the receiver allows; it is dropped, the next can be received
    empty,      ///< receive: nothing came (in time)
    full,       ///< send: there was no room (in time)
    no_descriptor,  ///< receive_descriptor: the message brought none, or several; it is dropped
};

/// One message, as it was sent.
struct message {
    std::vector<std::byte> bytes;
    std::vector<Fd> descriptors;  // close-on-exec

    std::string_view text() const { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
};

/// One end of a two-way pipe. Move-only; closes when it dies.
///
/// Messages arrive whole, in order, each as it was sent: empty ones too, and of any length. A message of up
/// to `packet_bytes` is one packet of the kernel's: it is there or not, whatever becomes of its sender, and
/// several processes (or threads) may send on copies of one end. A longer one takes several packets, so while
/// it is sent nobody else may send on a copy.
///
/// In the child of a fork every end that is open is open, too. What the child shall have is moved into its
/// function, so that the parent loses it; what the child has of its parent's ends it should close (`close` on
/// its copies), since the end of a pipe comes only when every copy of the other end is gone. Processes of a
/// launcher that was made before the pipe have none but those that they were given.
///
/// Nothing here raises SIGPIPE. Signals do not shorten waits. Threads: one may send while another receives;
/// else one at a time. Using an end that is closed here throws std::logic_error, and what the system refuses
/// std::system_error.
class connection {
  public:
    /// Of a message that takes one packet.
    static constexpr std::size_t packet_bytes = std::size_t{32} * 1024;
    /// With one message.
    static constexpr std::size_t most_descriptors = 250;

    /// Closed.
    connection() = default;
    /// Takes a descriptor that came through another connection. It must be one of an end.
    explicit connection(Fd end) : socket_(std::move(end)) {}

    /// Sends a message, and with it copies of descriptors. Waits while the other side's buffer is full (about
    /// 200 kB). {closed}: nobody is there to receive it.
    std::expected<void, connection_error> send(std::span<const std::byte> bytes,
                                               std::span<const int> descriptors = {}) {
        return send_until(never, bytes, descriptors);
    }
    std::expected<void, connection_error> send(std::string_view text) {
        return send(std::as_bytes(std::span(text)));
    }
    /// The same, for `limit` at most; else {full}. When part of a long message was sent by then, nothing more
    /// can be sent, and the other side gets {cut_short}. Zero or less only tries.
    std::expected<void, connection_error> send_for(Duration limit, std::span<const std::byte> bytes,
                                                   std::span<const int> descriptors = {}) {
        return send_until(deadline_in(limit), bytes, descriptors);
    }
    std::expected<void, connection_error> send_until(Instant deadline, std::span<const std::byte> bytes,
                                                     std::span<const int> descriptors = {});

    /// Waits for a message, of at most `most_bytes`; else {too_long}.
    std::expected<message, connection_error> receive(std::size_t most_bytes = SIZE_MAX) {
        return receive_until(never, most_bytes);
    }
    /// The same, for `limit` at most; else {empty}: what has come of a message by then is kept for the next
    /// call. Zero or less only looks.
    std::expected<message, connection_error> receive_for(Duration limit, std::size_t most_bytes = SIZE_MAX) {
        return receive_until(deadline_in(limit), most_bytes);
    }
    std::expected<message, connection_error> receive_until(Instant deadline,
                                                           std::size_t most_bytes = SIZE_MAX);
    /// The same into a message that is there, whose memory is used again.
    std::expected<void, connection_error> receive_into(message& into, Instant deadline = never,
                                                       std::size_t most_bytes = SIZE_MAX);

    /// A message of nothing but one descriptor.
    std::expected<void, connection_error> send_descriptor(int descriptor) {
        return send({}, {&descriptor, 1});
    }
    std::expected<Fd, connection_error> receive_descriptor();

    /// Whether a receive would give something now: a message (at least the begin of a long one), or the end.
    bool poll() const { return poll_until(Instant::min()); }
    bool poll_for(Duration limit) const { return poll_until(deadline_in(limit)); }
    bool poll_until(Instant deadline) const;

    /// For `wait_any`, poll or epoll: readable when `poll` is true. It stays this object's.
    int descriptor() const { return socket_.get(); }
    /// Gives up the descriptor, to be sent elsewhere.
    Fd release() { return std::move(socket_); }

    void close() { socket_ = Fd(); }
    bool closed() const { return !socket_; }

  private:
    // What has come of a message.
    struct Incoming {
        message begun;
        bool is_open = false;      // more packets of it are to come
        bool is_dropped = false;   // it is too long
        bool is_complete = false;  // the next receive gives it
    };

    int socket() const;
    std::optional<connection_error> receive_packet(Instant deadline, std::size_t most_bytes);

    Fd socket_;
    std::unique_ptr<std::byte[]> packet_;  // what is received comes through it; made with the first receive
    Incoming incoming_;
};

/// The end of a one-way pipe that receives: connection, less what sends.
class reader : private connection {
  public:
    using connection::connection;

    using connection::close;
    using connection::closed;
    using connection::descriptor;
    using connection::poll;
    using connection::poll_for;
    using connection::poll_until;
    using connection::receive;
    using connection::receive_descriptor;
    using connection::receive_for;
    using connection::receive_into;
    using connection::receive_until;
    using connection::release;
};

/// The end of a one-way pipe that sends: connection, less what receives.
class writer : private connection {
  public:
    using connection::connection;

    using connection::close;
    using connection::closed;
    using connection::descriptor;
    using connection::release;
    using connection::send;
    using connection::send_descriptor;
    using connection::send_for;
    using connection::send_until;
};

struct one_way_pipe {
    confab::reader reader;
    confab::writer writer;
};

/// What is sent into `writer` comes out of `reader`. Throws std::system_error.
one_way_pipe make_pipe();

/// Two ends, each of which sends to the other. Throws std::system_error.
std::pair<connection, connection> make_two_way_pipe();

}  // namespace confab
