#include "server/chat/bell.hpp"

#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <system_error>
#include <utility>

namespace confab::chat {

namespace {

// The names that the kernel gives: a zero byte and five hexadecimal digits.
constexpr std::size_t digits = 5;
constexpr socklen_t address_size = offsetof(sockaddr_un, sun_path) + 1 + digits;

Fd datagram_socket() {
    Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket) throw std::system_error(errno, std::generic_category(), "socket");
    return socket;
}

// The errno: ECONNREFUSED, nobody has that bell any more.
int send_to(const Fd& socket, BellName name) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(&address.sun_path[1], &name, digits);
    const char ring = 0;
    while (::sendto(socket.get(), &ring, 1, MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address),
                    address_size) < 0) {
        if (errno != EINTR) return errno;
    }
    return 0;
}

}  // namespace

Bell::Bell() : socket_(datagram_socket()) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const auto* const plain = reinterpret_cast<const sockaddr*>(&address);
    if (::bind(socket_.get(), plain, sizeof address.sun_family) != 0)
        throw std::system_error(errno, std::generic_category(), "bind");
    socklen_t size = sizeof address;
    if (::getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
        throw std::system_error(errno, std::generic_category(), "getsockname");
    if (size != address_size)
        throw std::system_error(EAFNOSUPPORT, std::generic_category(), "the name of a Unix socket");
    std::memcpy(&name_, &address.sun_path[1], digits);
}

void Bell::silence() const {
    std::array<char, 16> rung;
    while (::recv(socket_.get(), rung.data(), rung.size(), 0) >= 0 || errno == EINTR) {
    }
}

BellRinger::BellRinger() : socket_(datagram_socket()) {}

bool BellRinger::ring(BellName name) {
    if (send_to(socket_, name) != EAGAIN) return true;
    // Either the bell has been rung a few times and not been heard yet: then it will be. Or too many have not
    // heard this socket, which only has so much memory for that. What is on its way survives the socket.
    Fd fresh(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fresh) return false;
    socket_ = std::move(fresh);
    send_to(socket_, name);
    return true;
}

}  // namespace confab::chat
