#include "server/feed.hpp"

#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstring>

namespace confab::feed {

namespace {

std::error_code last_error() { return {errno, std::generic_category()}; }

// A message of one byte, since a message of none is what the end looks like.
constexpr char mark = '+';

union Control {
    cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
};

}  // namespace

Pair make() {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) {
        throw std::system_error(last_error(), "socketpair");
    }
    return {Fd(ends[0]), Fd(ends[1])};
}

std::error_code send(int giver, int connection) {
    char byte = mark;
    iovec part{.iov_base = &byte, .iov_len = 1};
    Control control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &connection, sizeof connection);
    while (::sendmsg(giver, &message, MSG_NOSIGNAL) < 0) {
        if (errno != EINTR) return last_error();
    }
    return {};
}

std::expected<Fd, std::error_code> receive(int taker) {
    char byte = 0;
    iovec part{.iov_base = &byte, .iov_len = 1};
    Control control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    ssize_t received = 0;
    while ((received = ::recvmsg(taker, &message, MSG_CMSG_CLOEXEC)) < 0) {
        if (errno != EINTR) return std::unexpected(last_error());
    }
    if (received == 0) return std::unexpected(std::make_error_code(std::errc::not_connected));
    const cmsghdr* const header = CMSG_FIRSTHDR(&message);
    if (header == nullptr || header->cmsg_type != SCM_RIGHTS) {
        return std::unexpected(std::make_error_code(std::errc::too_many_files_open));
    }
    int connection = -1;
    std::memcpy(&connection, CMSG_DATA(header), sizeof connection);
    return Fd(connection);
}

void acknowledge(int taker) {
    while (::send(taker, &mark, 1, MSG_NOSIGNAL) < 0 && errno == EINTR) {
    }
}

unsigned acknowledged(int giver) {
    unsigned count = 0;
    char byte = 0;
    while (true) {
        const ssize_t received = ::recv(giver, &byte, 1, 0);
        if (received > 0) ++count;
        if (received == 0 || (received < 0 && errno != EINTR)) return count;
    }
}

}  // namespace confab::feed
