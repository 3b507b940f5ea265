#include "server/feed.hpp"

#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstring>

namespace confab::feed {

namespace {

std::error_code last_error() { return {errno, std::generic_category()}; }

// Messages of one byte, since a message of none is what the end looks like.
constexpr char one_fewer = '-';
constexpr char one_more = '+';

// A taker that cannot say so at once has a giver that has gone, or that will bury it.
void say(int taker, const char& byte) {
    while (::send(taker, &byte, 1, MSG_NOSIGNAL) < 0 && errno == EINTR) {
    }
}

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
    char byte = one_more;
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

void acknowledge(int taker) { say(taker, one_fewer); }

void announce(int taker) { say(taker, one_more); }

int acknowledged(int giver) {
    int fewer = 0;
    char byte = 0;
    while (true) {
        const ssize_t received = ::recv(giver, &byte, 1, 0);
        if (received > 0) fewer += byte == one_more ? -1 : 1;
        if (received == 0 || (received < 0 && errno != EINTR)) return fewer;
    }
}

}  // namespace confab::feed
