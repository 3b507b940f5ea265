// A pipe is a pair of Unix sockets that keep packets whole (SOCK_SEQPACKET). A packet begins with a word: how
// many bytes of the message are left with this packet's, and whether it is the message's first.
#include "pools/connection.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <system_error>

#include "pools/poll_until.hpp"

namespace confab {

namespace {

using PacketHead = std::uint64_t;
constexpr PacketHead is_first = PacketHead{1} << 63;

// Room for the descriptors of one message, as the kernel wants it aligned.
struct alignas(cmsghdr) Ancillary {
    std::array<std::byte, CMSG_SPACE(sizeof(int) * connection::most_descriptors)> bytes;
};

[[noreturn]] void throw_system_error(const char* what, int error = errno) {
    throw std::system_error(error, std::system_category(), what);
}

bool writable_until(int descriptor, Instant deadline) {
    pollfd one{.fd = descriptor, .events = POLLOUT, .revents = 0};
    return poll_until({&one, 1}, deadline);
}

void attach(msghdr& header, Ancillary& ancillary, std::span<const int> descriptors) {
    if (descriptors.empty()) return;
    header.msg_control = ancillary.bytes.data();
    header.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
    cmsghdr* const first = CMSG_FIRSTHDR(&header);
    first->cmsg_level = SOL_SOCKET;
    first->cmsg_type = SCM_RIGHTS;
    first->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    std::memcpy(CMSG_DATA(first), descriptors.data(), descriptors.size_bytes());
}

std::vector<Fd> take_descriptors(msghdr& header) {
    std::vector<Fd> taken;
    for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
        const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        taken.reserve(taken.size() + count);
        for (std::size_t i = 0; i < count; ++i) {
            int descriptor = -1;
            std::memcpy(&descriptor, CMSG_DATA(part) + i * sizeof(int), sizeof descriptor);
            taken.emplace_back(descriptor);
        }
    }
    return taken;
}

std::pair<Fd, Fd> make_sockets() {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
        throw_system_error("socketpair");
    Fd one(ends[0]);
    Fd two(ends[1]);
    return {above_standard_streams(std::move(one)), above_standard_streams(std::move(two))};
}

}  // namespace

int connection::socket() const {
    if (!socket_) throw std::logic_error("this end of the pipe was closed or moved away: it cannot be used");
    return socket_.get();
}

std::expected<void, connection_error> connection::send_until(Instant deadline,
                                                             std::span<const std::byte> bytes,
                                                             std::span<const int> descriptors) {
    if (descriptors.size() > most_descriptors)
        throw std::invalid_argument("too many descriptors for one message");
    const int end = socket();
    PacketHead mark = is_first;
    do {
        const std::size_t size = std::min(bytes.size(), packet_bytes);
        PacketHead head = bytes.size() | mark;
        std::array<iovec, 2> parts{{{.iov_base = &head, .iov_len = sizeof head},
                                    {.iov_base = const_cast<std::byte*>(bytes.data()), .iov_len = size}}};
        Ancillary ancillary;
        msghdr header{};
        header.msg_iov = parts.data();
        header.msg_iovlen = parts.size();
        attach(header, ancillary, descriptors);
        while (::sendmsg(end, &header, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
            if (errno == EPIPE || errno == ECONNRESET) return std::unexpected(connection_error::closed);
            if (errno == EINTR) continue;
            if (errno != EAGAIN) throw_system_error("sendmsg");
            if (writable_until(end, deadline)) continue;
            // The rest of a message that was begun cannot follow later: others may be sent in between.
            if (mark == 0) ::shutdown(end, SHUT_WR);
            return std::unexpected(connection_error::full);
        }
        bytes = bytes.subspan(size);
        descriptors = {};
        mark = 0;
    } while (!bytes.empty());
    return {};
}

std::expected<message, connection_error> connection::receive_until(Instant deadline, std::size_t most_bytes) {
    std::expected<message, connection_error> result;
    if (const auto outcome = receive_into(*result, deadline, most_bytes); !outcome) {
        result = std::unexpected(outcome.error());
    }
    return result;
}

std::expected<void, connection_error> connection::receive_into(message& into, Instant deadline,
                                                               std::size_t most_bytes) {
    while (!incoming_.is_complete) {
        if (const auto error = receive_packet(deadline, most_bytes)) return std::unexpected(*error);
    }
    incoming_.is_complete = false;
    std::swap(into, incoming_.begun);
    incoming_.begun.bytes.clear();
    incoming_.begun.descriptors.clear();
    return {};
}

std::expected<Fd, connection_error> connection::receive_descriptor() {
    std::expected<message, connection_error> received = receive();
    if (!received) return std::unexpected(received.error());
    if (received->descriptors.size() != 1) return std::unexpected(connection_error::no_descriptor);
    return std::move(received->descriptors.front());
}

bool connection::poll_until(Instant deadline) const {
    return incoming_.is_complete || readable_until(socket(), deadline);
}

// Nothing: go on. A message may then be complete.
std::optional<connection_error> connection::receive_packet(Instant deadline, std::size_t most_bytes) {
    const int end = socket();
    if (!packet_) packet_ = std::make_unique_for_overwrite<std::byte[]>(packet_bytes);
    PacketHead head = 0;
    std::array<iovec, 2> parts{
        {{.iov_base = &head, .iov_len = sizeof head}, {.iov_base = packet_.get(), .iov_len = packet_bytes}}};
    Ancillary ancillary;
    msghdr header{};
    header.msg_iov = parts.data();
    header.msg_iovlen = parts.size();
    ssize_t count = 0;
    while (true) {
        header.msg_control = ancillary.bytes.data();
        header.msg_controllen = ancillary.bytes.size();
        count = ::recvmsg(end, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (count >= 0) break;
        // Reset: the other side was closed with something unread; told once, before what it has sent.
        if (errno == EINTR || errno == ECONNRESET) continue;
        if (errno != EAGAIN) throw_system_error("recvmsg");
        if (!readable_until(end, deadline)) return connection_error::empty;
    }
    std::vector<Fd> descriptors = take_descriptors(header);
    if (count == 0) {
        if (!std::exchange(incoming_.is_open, false)) return connection_error::closed;
        incoming_.begun = {};
        return connection_error::cut_short;
    }
    const std::uint64_t left = head & ~is_first;
    const std::size_t size = static_cast<std::size_t>(count) - sizeof head;
    const bool begins = (head & is_first) != 0;
    if (static_cast<std::size_t>(count) < sizeof head || (header.msg_flags & MSG_TRUNC) != 0 || size > left ||
        (!begins && !incoming_.is_open)) {
        throw_system_error("not a packet of a confab pipe", EBADMSG);
    }
    if ((header.msg_flags & MSG_CTRUNC) != 0)
        throw_system_error("no room for a descriptor that was sent", EMFILE);

    // Its sender has died, and another one, with a copy of its end, goes on.
    const bool cuts = begins && incoming_.is_open;
    if (begins) {
        incoming_.begun.bytes.clear();
        incoming_.begun.descriptors = std::move(descriptors);
        incoming_.is_open = true;
        incoming_.is_dropped = left > most_bytes;
        if (!incoming_.is_dropped) incoming_.begun.bytes.reserve(left);
    }
    const bool is_last = size == left;
    if (!incoming_.is_dropped) {
        incoming_.begun.bytes.insert(incoming_.begun.bytes.end(), packet_.get(), packet_.get() + size);
    }
    incoming_.is_open = !is_last;
    incoming_.is_complete = is_last && !incoming_.is_dropped;
    if (cuts) return connection_error::cut_short;
    if (is_last && incoming_.is_dropped) {
        incoming_.begun = {};
        return connection_error::too_long;
    }
    return std::nullopt;
}

one_way_pipe make_pipe() {
    auto [receives, sends] = make_sockets();
    return {.reader = reader(std::move(receives)), .writer = writer(std::move(sends))};
}

std::pair<connection, connection> make_two_way_pipe() {
    auto [one, two] = make_sockets();
    return {connection(std::move(one)), connection(std::move(two))};
}

}  // namespace confab
