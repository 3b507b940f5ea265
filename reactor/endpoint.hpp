// Public: addresses, and the sockets that go with them.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <expected>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "pools/fd.hpp"

namespace confab {

/// Where to listen or whom to call: an IPv4 or IPv6 address with a port, or the path of a Unix socket. A
/// value.
class Endpoint {
  public:
    /// "127.0.0.1:8080", "[::1]:8080", "localhost:8080" (see getaddrinfo(3); may ask a name server), ":8080"
    /// (every interface), "unix:/run/confab.sock". All that the name stands for, in the resolver's order,
    /// never empty; or a sentence that says what is wrong.
    static std::expected<std::vector<Endpoint>, std::string> resolve(std::string_view text);
    /// What is wrong with the form of `text`, as a sentence; empty when nothing is. Asks nobody.
    static std::string fault(std::string_view text);

    /// The address of this end of a socket.
    static std::expected<Endpoint, std::error_code> of_socket(int fd);
    /// The address of the other end.
    static std::expected<Endpoint, std::error_code> of_peer(int fd);

    const sockaddr* address() const { return reinterpret_cast<const sockaddr*>(&storage_); }
    socklen_t size() const { return size_; }
    int family() const { return storage_.ss_family; }
    bool is_unix() const { return family() == AF_UNIX; }

    /// As `resolve` reads it.
    std::string text() const;

    Endpoint(const sockaddr* address, socklen_t size);

  private:
    sockaddr_storage storage_{};
    socklen_t size_;
};

struct ListenOptions {
    int backlog = 4096;  ///< connections that wait to be accepted; the kernel caps it at net.core.somaxconn
    /// SO_REUSEPORT: several listeners on one port, the kernel spreads the connections.
    bool share_port = false;
    /// With share_port: fails when anybody listens there already, as without it; those who come later may
    /// share. For the first listener of a program, which would else take connections from another one's.
    bool port_must_be_free = false;
};

/// A listening socket, non-blocking, close-on-exec. TCP: with SO_REUSEADDR, and TCP_NODELAY, which Linux
/// hands on to what is accepted. Unix: a socket file that nobody listens on any more is replaced, any other
/// file is not.
std::expected<Fd, std::error_code> listen_on(const Endpoint& endpoint, const ListenOptions& options = {});

/// Removes the file that listening on a Unix socket has made; nothing for other addresses, and no error when
/// it is gone already.
void remove_socket_file(const Endpoint& endpoint);

/// A stream socket for a connection to `endpoint`, close-on-exec, TCP_NODELAY.
std::expected<Fd, std::error_code> make_socket(const Endpoint& endpoint);

}  // namespace confab
