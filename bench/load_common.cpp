#include "bench/load_common.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "clients/load/cpu_time.hpp"

namespace confab::bench {
namespace {

std::int64_t now_ns() { return Clock::now().time_since_epoch().count(); }

}  // namespace

Window::Window(const Limits& limits) : limits_(limits) {
    opens_ns_ = now_ns() + static_cast<std::int64_t>(limits.warmup_s * 1e9);
    closes_ns_ = opens_ns_ + static_cast<std::int64_t>(limits.measured_s * 1e9);
}

Window::Sample Window::sample(std::int64_t time_ns, std::uint64_t messages) const {
    return {time_ns, load::cpu_time_of(limits_.server_pid).count(), load::own_cpu_time().count(), messages};
}

bool Window::advance(std::uint64_t messages) {
    const std::int64_t time_ns = now_ns();
    if (!open_) {
        if (time_ns < opens_ns_) return false;
        open_ = true;
        first_ = sample(time_ns, messages);
        return false;
    }
    const bool enough = limits_.messages != 0 && messages - first_.messages >= limits_.messages;
    if (time_ns < closes_ns_ && !enough) return false;
    last_ = sample(time_ns, messages);
    return true;
}

Window::Figures Window::figures() const {
    const auto seconds = [](std::int64_t from, std::int64_t to) {
        return static_cast<double>(to - from) / 1e9;
    };
    return {.messages = last_.messages - first_.messages,
            .seconds = seconds(first_.time_ns, last_.time_ns),
            .server_cpu_s = seconds(first_.server_cpu_ns, last_.server_cpu_ns),
            .load_cpu_s = seconds(first_.load_cpu_ns, last_.load_cpu_ns)};
}

std::vector<char> pattern_bytes(std::size_t size) {
    std::vector<char> bytes(size);
    std::uint64_t state = 0x9e3779b97f4a7c15U;  // xorshift64: any seed but zero
    for (char& byte : bytes) {
        state ^= state << 13U;
        state ^= state >> 7U;
        state ^= state << 17U;
        byte = static_cast<char>(state >> 56U);
    }
    return bytes;
}

int bound_socket(unsigned index) {
    constexpr unsigned addresses = 200;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) fail("socket", errno);
    const int on = 1;
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + index % addresses);
    // The port is chosen at connect, when the whole pair of addresses is known, so ports are shared between
    // addresses.
    if (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on) != 0) fail("setsockopt", errno);
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) fail("setsockopt", errno);
    if (bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) fail("bind", errno);
    return fd;
}

std::uint64_t parse_number(std::string_view option, const char* text, std::uint64_t least,
                           std::uint64_t most) {
    char* end = nullptr;
    errno = 0;
    const unsigned long long value = std::strtoull(text, &end, 10);
    if (errno == 0 && end != text && *end == '\0' && *text != '-' && value >= least && value <= most)
        return value;
    std::fprintf(stderr, "--%.*s: a number from %llu to %llu, not '%s'\n", static_cast<int>(option.size()),
                 option.data(), static_cast<unsigned long long>(least), static_cast<unsigned long long>(most),
                 text);
    std::exit(2);
}

double parse_seconds(std::string_view option, const char* text) {
    char* end = nullptr;
    const double value = std::strtod(text, &end);
    if (end != text && *end == '\0' && std::isfinite(value) && value >= 0 && value <= 3600) return value;
    std::fprintf(stderr, "--%.*s: seconds from 0 to 3600, not '%s'\n", static_cast<int>(option.size()),
                 option.data(), text);
    std::exit(2);
}

void fail(std::string_view what, int error) {
    std::fprintf(stderr, "%.*s: %s\n", static_cast<int>(what.size()), what.data(), std::strerror(error));
    std::exit(1);
}

void raise_descriptor_limit() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) fail("getrlimit", errno);
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) fail("setrlimit", errno);
}

}  // namespace confab::bench
