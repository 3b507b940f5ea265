#include "tests/system/client.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "tests/system/failure.hpp"
#include "tests/system/patience.hpp"

namespace confab::system_tests {
namespace {

constexpr std::string_view unix_scheme = "unix:";

union AnyAddress {
    sockaddr any;
    sockaddr_in v4;
    sockaddr_in6 v6;
    sockaddr_un local;
};

struct Target {
    AnyAddress address{};
    socklen_t size = 0;
};

Target parse_unix(std::string_view path) {
    Target target{.address = {.local = {}}, .size = sizeof(sockaddr_un)};
    if (path.size() >= sizeof target.address.local.sun_path) throw std::invalid_argument("path too long");
    target.address.local.sun_family = AF_UNIX;
    path.copy(target.address.local.sun_path, path.size());
    return target;
}

Target parse(const std::string& text) {
    if (text.starts_with(unix_scheme)) return parse_unix(std::string_view(text).substr(unix_scheme.size()));
    const std::size_t colon = text.rfind(':');
    if (colon == std::string::npos) throw std::invalid_argument("not an address: " + text);
    const auto port = htons(static_cast<std::uint16_t>(std::stoi(text.substr(colon + 1))));
    if (text.starts_with('[')) {
        Target target{.address = {.v6 = {}}, .size = sizeof(sockaddr_in6)};
        target.address.v6.sin6_family = AF_INET6;
        target.address.v6.sin6_port = port;
        const std::string host = text.substr(1, colon - 2);
        if (::inet_pton(AF_INET6, host.c_str(), &target.address.v6.sin6_addr) != 1) {
            throw std::invalid_argument("not an address: " + text);
        }
        return target;
    }
    Target target{.address = {.v4 = {}}, .size = sizeof(sockaddr_in)};
    target.address.v4.sin_family = AF_INET;
    target.address.v4.sin_port = port;
    const std::string host = text.substr(0, colon);
    if (::inet_pton(AF_INET, host.c_str(), &target.address.v4.sin_addr) != 1) {
        throw std::invalid_argument("not an address: " + text);
    }
    return target;
}

void set_option(int fd, int level, int name, int value) {
    if (::setsockopt(fd, level, name, &value, sizeof value) != 0) {
        throw std::system_error(errno, std::generic_category(), "setsockopt");
    }
}

// For messages: what bytes are, on one line, and not too many of them.
std::string shown(std::string_view bytes) {
    constexpr std::size_t most = 400;
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text = "\"";
    for (const char c : bytes.substr(0, most)) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '\n') {
            text += "\\n";
        } else if (byte < 0x20 || byte == 0x7f) {
            text += "\\x";
            text += digits[byte / 16];
            text += digits[byte % 16];
        } else {
            text += c;
        }
    }
    text += '"';
    if (bytes.size() > most) text += " and " + std::to_string(bytes.size() - most) + " bytes more";
    return text;
}

}  // namespace

const char* name_of(Ending ending) {
    switch (ending) {
        case Ending::open:
            return "open";
        case Ending::end_of_stream:
            return "end of stream";
        case Ending::reset:
            return "reset";
    }
    std::unreachable();
}

Client::Client(const std::string& address, ClientOptions options, Where where) {
    const Target target = parse(address);
    socket_ = UniqueFd(::socket(target.address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!socket_.is_open()) fail_here(std::string("socket: ") + std::strerror(errno), where);
    if (options.receive_buffer > 0) set_option(fd(), SOL_SOCKET, SO_RCVBUF, options.receive_buffer);
    if (target.address.any.sa_family != AF_UNIX) set_option(fd(), IPPROTO_TCP, TCP_NODELAY, 1);
    // On loopback connect(2) does not wait but for room in the listener's queue.
    if (::connect(fd(), &target.address.any, target.size) != 0) {
        fail_here("cannot connect to " + address + ": " + std::strerror(errno), where);
    }
}

bool Client::is_listening(const std::string& address) {
    const Target target = parse(address);
    const UniqueFd socket(::socket(target.address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    return socket.is_open() && ::connect(socket.get(), &target.address.any, target.size) == 0;
}

void Client::fail_here(const std::string& what, Where where) const {
    std::string message = what;
    if (!received_.empty()) message += "\n  received and not taken: " + shown(received_);
    if (ending_ != Ending::open) message += std::string("\n  the connection: ") + name_of(ending_);
    fail(message, where);
}

void Client::wait_for_more(short events, std::string_view what_for, Where where) {
    if (!wait_for(fd(), events, Deadline())) fail_here("waited in vain for " + std::string(what_for), where);
}

Client::Got Client::receive_some(Where where) {
    std::array<char, 65536> chunk;
    for (;;) {
        const ssize_t count = ::recv(fd(), chunk.data(), chunk.size(), MSG_DONTWAIT);
        if (count > 0) {
            received_.append(chunk.data(), static_cast<std::size_t>(count));
            return Got::bytes;
        }
        if (count == 0) {
            ending_ = Ending::end_of_stream;
            return Got::end;
        }
        if (errno == EINTR) continue;
        if (errno == EAGAIN || errno == EWOULDBLOCK) return Got::nothing;
        if (errno == ECONNRESET) {
            ending_ = Ending::reset;
            return Got::end;
        }
        fail_here(std::string("recv: ") + std::strerror(errno), where);
    }
}

std::optional<std::size_t> Client::send_what_fits(std::string_view bytes) {
    std::size_t sent = 0;
    while (sent < bytes.size()) {
        const ssize_t count =
            ::send(fd(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (count >= 0) {
            sent += static_cast<std::size_t>(count);
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            break;
        } else if (errno != EINTR) {
            return std::nullopt;
        }
    }
    return sent;
}

std::size_t Client::send_until_stuck(std::string_view bytes) {
    constexpr std::chrono::milliseconds moment{100};
    std::size_t sent = 0;
    while (sent < bytes.size() && wait_for(fd(), POLLOUT, Deadline(moment))) {
        const std::optional<std::size_t> fitted = send_what_fits(bytes.substr(sent));
        if (!fitted) break;
        sent += *fitted;
    }
    return sent;
}

void Client::send(std::string_view bytes, Where where) {
    while (!bytes.empty()) {
        wait_for_more(POLLOUT, "room to send", where);
        const std::optional<std::size_t> sent = send_what_fits(bytes);
        if (!sent) fail_here("cannot send: the connection is gone", where);
        bytes.remove_prefix(*sent);
    }
}

void Client::send_line(std::string_view line, Where where) { send(std::string(line) + '\n', where); }

void Client::send_while_receiving(std::string_view bytes, Where where) {
    while (!bytes.empty()) {
        wait_for_more(POLLIN | POLLOUT, "room to send, or bytes", where);
        if (receive_some(where) == Got::end) fail_here("the connection ended while sending", where);
        const std::optional<std::size_t> sent = send_what_fits(bytes);
        if (!sent) fail_here("cannot send: the connection is gone", where);
        bytes.remove_prefix(*sent);
    }
}

std::string Client::line(Where where) {
    for (std::size_t searched = 0;;) {
        const std::size_t end = received_.find('\n', searched);
        if (end != std::string::npos) {
            std::string line = received_.substr(0, end);
            received_.erase(0, end + 1);
            return line;
        }
        searched = received_.size();
        if (ending_ != Ending::open) fail_here("the connection ended where a line was due", where);
        wait_for_more(POLLIN, "a line", where);
        receive_some(where);
    }
}

void Client::expect_line(std::string_view expected, Where where) {
    const std::string got = line(where);
    if (got != expected) fail_here("expected the line " + shown(expected) + ", got " + shown(got), where);
}

std::string Client::expect_line_with(std::string_view start, std::initializer_list<std::string_view> pieces,
                                     Where where) {
    const std::string got = line(where);
    if (!got.starts_with(start))
        fail_here("expected a line like " + shown(start) + ", got " + shown(got), where);
    for (const std::string_view piece : pieces) {
        if (got.find(piece) == std::string::npos) {
            fail_here("expected a line with " + shown(piece) + ", got " + shown(got), where);
        }
    }
    return got;
}

std::vector<std::string> Client::lines_until(std::string_view last, Where where) {
    std::vector<std::string> lines;
    for (std::string next = line(where); next != last; next = line(where)) lines.push_back(std::move(next));
    return lines;
}

std::vector<std::string> Client::lines_until_pong(std::string_view marker, Where where) {
    send_line("/ping " + std::string(marker), where);
    return lines_until("* pong " + std::string(marker), where);
}

void Client::expect_silence_until(std::string_view marker, Where where) {
    send_line("/ping " + std::string(marker), where);
    expect_line("* pong " + std::string(marker), where);
}

std::string Client::receive(std::size_t count, Where where) {
    while (received_.size() < count) {
        if (ending_ != Ending::open) {
            fail_here("the connection ended after " + std::to_string(received_.size()) + " bytes of " +
                          std::to_string(count),
                      where);
        }
        wait_for_more(POLLIN, std::to_string(count - received_.size()) + " bytes", where);
        receive_some(where);
    }
    std::string bytes = received_.substr(0, count);
    received_.erase(0, count);
    return bytes;
}

void Client::expect(std::string_view bytes, Where where) {
    const std::string got = receive(bytes.size(), where);
    if (got == bytes) return;
    std::size_t same = 0;
    while (got[same] == bytes[same]) ++same;
    fail_here("bytes differ at offset " + std::to_string(same) + ": expected " + shown(bytes.substr(same)) +
                  ", got " + shown(std::string_view(got).substr(same)),
              where);
}

Rest Client::rest(Where where) {
    while (ending_ == Ending::open) {
        wait_for_more(POLLIN, "the end of the stream", where);
        receive_some(where);
    }
    return {.bytes = std::exchange(received_, {}), .ending = ending_};
}

void Client::expect_end(Where where) {
    const Rest end = rest(where);
    if (!end.bytes.empty()) fail_here("expected the end, got " + shown(end.bytes), where);
    if (end.ending != Ending::end_of_stream) fail_here("expected the end of the stream", where);
}

bool Client::answers(Where where) {
    while (received_.empty() && ending_ == Ending::open) {
        if (receive_some(where) == Got::nothing) wait_for_more(POLLIN, "an answer, or the end", where);
    }
    return !received_.empty();
}

bool Client::has_news() {
    while (ending_ == Ending::open && receive_some(Where::current()) == Got::bytes) {
    }
    return !received_.empty() || ending_ != Ending::open;
}

void Client::half_close() {
    if (::shutdown(fd(), SHUT_WR) != 0) throw std::system_error(errno, std::generic_category(), "shutdown");
}

void Client::reset() {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    if (::setsockopt(fd(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) != 0) {
        throw std::system_error(errno, std::generic_category(), "SO_LINGER");
    }
    close();
}

std::deque<Client> served_clients(const std::string& address, int count) {
    std::deque<Client> clients;
    for (int number = 0; number < count; ++number) {
        clients.emplace_back(address);
        clients.back().send("hello");
        clients.back().expect("hello");
    }
    return clients;
}

}  // namespace confab::system_tests
