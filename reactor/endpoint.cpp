#include "reactor/endpoint.hpp"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace confab {

namespace {

std::unexpected<std::error_code> last_error() {
    return std::unexpected(std::error_code(errno, std::generic_category()));
}

std::expected<Endpoint, std::string> unix_endpoint(std::string_view path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof address.sun_path) {
        return std::unexpected("the path of a Unix socket has 1 to " +
                               std::to_string(sizeof address.sun_path - 1) + " bytes");
    }
    std::copy(path.begin(), path.end(), address.sun_path);
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
    return Endpoint(reinterpret_cast<const sockaddr*>(&address), size);
}

struct HostAndPort {
    std::string host;
    std::string port;
};

std::expected<HostAndPort, std::string> split(std::string_view text) {
    const auto colon = text.rfind(':');
    if (colon == std::string_view::npos)
        return std::unexpected("an address is host:port, [v6]:port or unix:PATH");
    std::string_view host = text.substr(0, colon);
    const std::string_view port = text.substr(colon + 1);
    const bool is_number = !port.empty() && port.size() <= 5 &&
                           std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (!is_number || std::stoi(std::string(port)) > 65535)
        return std::unexpected("a port is a number from 0 to 65535");
    if (host.starts_with('[') && host.ends_with(']')) {
        host = host.substr(1, host.size() - 2);
    } else if (host.contains(':')) {
        return std::unexpected("an IPv6 address stands in brackets: [::1]:8080");
    }
    return HostAndPort{std::string(host), std::string(port)};
}

template <class Option>
bool set_option(const Fd& fd, int level, int name, const Option& value) {
    return ::setsockopt(fd.get(), level, name, &value, sizeof value) == 0;
}

// A socket file stays behind when its server is killed. One that nobody answers on may be replaced.
void remove_stale_socket(const Endpoint& endpoint) {
    const auto* const address = reinterpret_cast<const sockaddr_un*>(endpoint.address());
    struct stat status{};
    if (::lstat(address->sun_path, &status) != 0 || !S_ISSOCK(status.st_mode)) return;
    const Fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!probe) return;
    if (::connect(probe.get(), endpoint.address(), endpoint.size()) != 0 && errno == ECONNREFUSED) {
        ::unlink(address->sun_path);  // if it fails, so will bind, which is the error to report
    }
}

}  // namespace

Endpoint::Endpoint(const sockaddr* address, socklen_t size) : size_(size) {
    std::memcpy(&storage_, address, std::min<std::size_t>(size, sizeof storage_));
}

std::expected<std::vector<Endpoint>, std::string> Endpoint::resolve(std::string_view text) {
    if (text.starts_with("unix:")) {
        auto endpoint = unix_endpoint(text.substr(5));
        if (!endpoint) return std::unexpected(endpoint.error());
        return std::vector{*endpoint};
    }
    const auto parts = split(text);
    if (!parts) return std::unexpected(parts.error());
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
    addrinfo* found = nullptr;
    const char* const host = parts->host.empty() ? nullptr : parts->host.c_str();
    const int result = ::getaddrinfo(host, parts->port.c_str(), &hints, &found);
    if (result != 0) {
        return std::unexpected(result == EAI_SYSTEM ? std::generic_category().message(errno)
                                                    : ::gai_strerror(result));
    }
    std::vector<Endpoint> endpoints;
    for (const addrinfo* entry = found; entry != nullptr; entry = entry->ai_next) {
        endpoints.emplace_back(entry->ai_addr, entry->ai_addrlen);
    }
    ::freeaddrinfo(found);
    return endpoints;
}

std::string Endpoint::fault(std::string_view text) {
    if (text.starts_with("unix:")) {
        const auto endpoint = unix_endpoint(text.substr(5));
        return endpoint ? "" : endpoint.error();
    }
    const auto parts = split(text);
    return parts ? "" : parts.error();
}

std::expected<Endpoint, std::error_code> Endpoint::of_socket(int fd) {
    sockaddr_storage storage{};
    socklen_t size = sizeof storage;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size) < 0) return last_error();
    return Endpoint(reinterpret_cast<const sockaddr*>(&storage), size);
}

std::expected<Endpoint, std::error_code> Endpoint::of_peer(int fd) {
    sockaddr_storage storage{};
    socklen_t size = sizeof storage;
    if (::getpeername(fd, reinterpret_cast<sockaddr*>(&storage), &size) < 0) return last_error();
    return Endpoint(reinterpret_cast<const sockaddr*>(&storage), size);
}

std::string Endpoint::text() const {
    std::array<char, INET6_ADDRSTRLEN> host{};
    if (family() == AF_INET) {
        const auto* const address = reinterpret_cast<const sockaddr_in*>(&storage_);
        ::inet_ntop(AF_INET, &address->sin_addr, host.data(), host.size());
        return std::string(host.data()) + ':' + std::to_string(ntohs(address->sin_port));
    }
    if (family() == AF_INET6) {
        const auto* const address = reinterpret_cast<const sockaddr_in6*>(&storage_);
        ::inet_ntop(AF_INET6, &address->sin6_addr, host.data(), host.size());
        return '[' + std::string(host.data()) + "]:" + std::to_string(ntohs(address->sin6_port));
    }
    const auto* const address = reinterpret_cast<const sockaddr_un*>(&storage_);
    return "unix:" + std::string(address->sun_path);
}

std::expected<Fd, std::error_code> listen_on(const Endpoint& endpoint, const ListenOptions& options) {
    Fd fd(::socket(endpoint.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd) return last_error();
    const int on = 1;
    const bool share_at_once = options.share_port && !options.port_must_be_free;
    if (endpoint.is_unix()) {
        remove_stale_socket(endpoint);
    } else {
        if (!set_option(fd, SOL_SOCKET, SO_REUSEADDR, on)) return last_error();
        if (share_at_once && !set_option(fd, SOL_SOCKET, SO_REUSEPORT, on)) return last_error();
        if (!set_option(fd, IPPROTO_TCP, TCP_NODELAY, on)) return last_error();
    }
    if (::bind(fd.get(), endpoint.address(), endpoint.size()) < 0) return last_error();
    // Set only now, it did not help to get the port, and yet lets others in.
    if (options.share_port && !share_at_once && !set_option(fd, SOL_SOCKET, SO_REUSEPORT, on)) {
        return last_error();
    }
    if (::listen(fd.get(), options.backlog) < 0) return last_error();
    return fd;
}

void remove_socket_file(const Endpoint& endpoint) {
    if (!endpoint.is_unix()) return;
    ::unlink(reinterpret_cast<const sockaddr_un*>(endpoint.address())->sun_path);
}

std::expected<Fd, std::error_code> make_socket(const Endpoint& endpoint) {
    Fd fd(::socket(endpoint.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd) return last_error();
    const int on = 1;
    if (!endpoint.is_unix() && !set_option(fd, IPPROTO_TCP, TCP_NODELAY, on)) return last_error();
    return fd;
}

}  // namespace confab
