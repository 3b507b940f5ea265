#include "clients/load/dialer.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>

#include "coro/listener.hpp"
#include "coro/sleep.hpp"
#include "reactor/simulated.hpp"

namespace confab::load {

namespace {

constexpr std::uint32_t sources = 200;
// A Unix listener whose queue is full says so at once; a TCP connection would wait.
constexpr Duration pause = std::chrono::milliseconds(2);

std::error_code last_error() { return {errno, std::generic_category()}; }

bool is_loopback(const Endpoint& endpoint) {
    if (endpoint.family() != AF_INET) return false;
    const auto& address = *reinterpret_cast<const sockaddr_in*>(endpoint.address());
    return ntohl(address.sin_addr.s_addr) >> 24U == IN_LOOPBACKNET;
}

}  // namespace

task<std::expected<int, std::error_code>> Dialer::dial() {
    const std::expected<int, std::error_code> fd = open_socket();
    if (!fd) co_return fd;
    const Instant begun = Reactor::current()->now();
    std::expected<int, std::error_code> connected = co_await connect(*fd, peer_, limit_);
    while (!connected && connected.error() == std::errc::resource_unavailable_try_again &&
           Reactor::current()->now() - begun < limit_) {
        try {
            co_await sleep(pause);
        } catch (const task_canceled&) {
            connected = std::unexpected(std::make_error_code(std::errc::operation_canceled));
            break;
        }
        connected = co_await connect(*fd, peer_, limit_);
    }
    if (connected) co_return fd;
    co_await close_descriptor(*fd);
    co_return std::unexpected(connected.error());
}

std::expected<int, std::error_code> Dialer::open_socket() {
    if (network_ != nullptr) {
        const int fd = network_->socket();
        if (fd < 0) return error(fd);
        return fd;
    }
    std::expected<Fd, std::error_code> fd = make_socket(peer_);
    if (!fd) return std::unexpected(fd.error());
    if (is_loopback(peer_)) {
        const std::expected<void, std::error_code> bound = bind_source(fd->get());
        if (!bound) return std::unexpected(bound.error());
    }
    return fd->release();
}

// The port is chosen when the connection is made, and the whole pair of addresses is known: so each pair of
// addresses has all the ports.
std::expected<void, std::error_code> Dialer::bind_source(int fd) {
    const int on = 1;
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + source_++ % sources);
    if (::setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on) != 0 ||
        ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        return std::unexpected(last_error());
    }
    return {};
}

}  // namespace confab::load
