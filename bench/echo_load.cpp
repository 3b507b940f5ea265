// Drives an echo server as hard as it can from one core and checks every byte that comes back.
//
// Closed loop: `depth` messages are under way on every connection, and each one that returns is replaced at
// once. With
// --churn a connection carries one message: connect, echo, close, over and over.
//
// Its own cost a message must stay below the leanest server's, or it would measure itself. So: io_uring with
// receives that stay armed, and sends that report only failures. They may, because what is sent is never
// freed or changed: each connection's stream walks through one constant pattern, which is also what the echo
// is compared with.
#include <arpa/inet.h>
#include <getopt.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "bench/load_common.hpp"
#include "bench/uring_common.h"

namespace confab::bench {
namespace {

// A prime, so that no echo that is shifted by a whole number of messages looks right.
constexpr std::size_t pattern_period = 65'521;
// What may be under way on one connection. Loopback's send buffer takes it whole, so two sends never
// overtake.
constexpr std::size_t flight_limit = 256 * 1024;

constexpr unsigned ring_entries = 4096;
// Receive buffers are given back within the turn, so few are enough, and few stay in the cache.
constexpr unsigned buffer_count = 128;
constexpr std::size_t least_buffer = 2048, largest_buffer = 64 * 1024;
constexpr int buffer_group = 0;
constexpr int stalled_seconds = 10;

struct Options {
    std::uint16_t port = 0;
    int server_pid = 0;
    std::size_t connections = 50, bytes = 64, depth = 1;
    double seconds = 1.0, warmup = 0.2;
    std::uint64_t count = 0;
    bool churn = false;
};

enum class Event : std::uint64_t { received, sent, connected, closed, tick };

// What a completion is about, packed into its user data.
std::uint64_t tag(Event event, std::size_t connection) {
    return connection << 8U | static_cast<std::uint64_t>(event);
}

struct Connection {
    int fd = -1;
    std::size_t send_at = 0, receive_at = 0;  // places in the pattern
    std::size_t partial = 0;                  // bytes of a message that has not come back whole
    bool is_served = false;                   // true exactly when a message has come back
};

class Load {
  public:
    explicit Load(const Options& options);
    // Runs until the window closes; returns the exit code.
    int run();

  private:
    void open_buffers();
    void start(std::size_t index);
    void connect_now(Connection& connection, std::size_t index);
    void connect_send_receive(Connection& connection, std::size_t index);
    void receive(std::size_t index);
    void send(std::size_t index, std::size_t size);
    void arm_tick();
    void turn();
    void handle(const io_uring_cqe& completion);
    void received(const io_uring_cqe& completion, std::size_t index);
    [[nodiscard]] std::size_t take(std::size_t index, const char* bytes, std::size_t size);
    void replace(std::size_t index);
    void ended(std::size_t index, int error);
    void tick();
    void report(const Window& window) const;

    const Options options_;
    const std::vector<char> pattern_;
    const std::size_t buffer_size_;
    std::vector<char> buffer_memory_;
    std::vector<Connection> connections_;
    sockaddr_in server_{};
    io_uring ring_{};
    io_uring_buf_ring* buffers_ = nullptr;
    __kernel_timespec tick_interval_{.tv_sec = 1, .tv_nsec = 0};
    std::uint64_t messages_ = 0, verified_bytes_ = 0, errors_ = 0;
    std::uint64_t messages_at_tick_ = 0;
    unsigned started_ = 0;
    int idle_ticks_ = 0, freed_buffers_ = 0;
    std::size_t alive_ = 0, served_ = 0;
};

Load::Load(const Options& options)
    : options_(options),
      pattern_([&] {
          std::vector<char> bytes = pattern_bytes(pattern_period);
          // The start again at the end, so that any message is one piece.
          for (std::size_t i = 0; i < flight_limit; ++i) bytes.push_back(bytes[i]);
          return bytes;
      }()),
      buffer_size_(std::clamp(std::bit_ceil(options.bytes * options.depth), least_buffer, largest_buffer)),
      buffer_memory_(buffer_count * buffer_size_),
      connections_(options.connections) {
    server_.sin_family = AF_INET;
    server_.sin_port = htons(options.port);
    server_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ring_open(&ring_, ring_entries, 4 * ring_entries);
    open_buffers();
}

void Load::open_buffers() {
    buffers_ = ring_open_buffers(&ring_, buffer_count, buffer_group, 0);
    for (unsigned i = 0; i < buffer_count; ++i) {
        io_uring_buf_ring_add(buffers_, buffer_memory_.data() + i * buffer_size_,
                              static_cast<unsigned>(buffer_size_), static_cast<unsigned short>(i),
                              buffer_count - 1, static_cast<int>(i));
    }
    io_uring_buf_ring_advance(buffers_, static_cast<int>(buffer_count));
}

void Load::start(std::size_t index) {
    Connection& connection = connections_[index];
    connection = {};
    connection.fd = bound_socket(started_++);
    connection.send_at = connection.receive_at = std::size_t{started_} * 4099 % pattern_period;
    ++alive_;
    if (options_.churn) {
        connect_send_receive(connection, index);
    } else {
        connect_now(connection, index);
    }
}

void Load::connect_now(Connection& connection, std::size_t index) {
    if (connect(connection.fd, reinterpret_cast<const sockaddr*>(&server_), sizeof server_) != 0)
        fail("connect", errno);
    receive(index);
    send(index, options_.bytes * options_.depth);
}

void Load::connect_send_receive(Connection& connection, std::size_t index) {
    io_uring_sqe* entry = ring_next(&ring_);
    io_uring_prep_connect(entry, connection.fd, reinterpret_cast<const sockaddr*>(&server_), sizeof server_);
    entry->flags |= IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;
    io_uring_sqe_set_data64(entry, tag(Event::connected, index));
    entry = ring_next(&ring_);
    io_uring_prep_send(entry, connection.fd, pattern_.data() + connection.send_at, options_.bytes,
                       MSG_WAITALL | MSG_NOSIGNAL);
    entry->flags |= IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;
    io_uring_sqe_set_data64(entry, tag(Event::sent, index));
    receive(index);
}

// Armed once and for all, but with churn one at a time: a receive that is still armed would hold the socket
// open.
void Load::receive(std::size_t index) {
    const Connection& connection = connections_[index];
    if (!options_.churn) {
        ring_receive(&ring_, connection.fd, buffer_group, tag(Event::received, index));
        return;
    }
    io_uring_sqe* entry = ring_next(&ring_);
    io_uring_prep_recv(entry, connection.fd, nullptr, buffer_size_, 0);
    entry->flags |= IOSQE_BUFFER_SELECT;
    entry->buf_group = buffer_group;
    io_uring_sqe_set_data64(entry, tag(Event::received, index));
}

void Load::send(std::size_t index, std::size_t size) {
    Connection& connection = connections_[index];
    io_uring_sqe* entry = ring_next(&ring_);
    io_uring_prep_send(entry, connection.fd, pattern_.data() + connection.send_at, size,
                       MSG_WAITALL | MSG_NOSIGNAL);
    entry->flags |= IOSQE_CQE_SKIP_SUCCESS;
    io_uring_sqe_set_data64(entry, tag(Event::sent, index));
    connection.send_at = (connection.send_at + size) % pattern_period;
}

void Load::arm_tick() {
    io_uring_sqe* entry = ring_next(&ring_);
    io_uring_prep_timeout(entry, &tick_interval_, 0, 0);
    io_uring_sqe_set_data64(entry, tag(Event::tick, 0));
}

int Load::run() {
    arm_tick();
    for (std::size_t i = 0; i < connections_.size(); ++i) start(i);
    const std::uint64_t settled = options_.churn ? 1 : settled_after * options_.depth;
    while ((served_ < connections_.size() || messages_ < settled * connections_.size()) && alive_ != 0)
        turn();
    Window window({options_.warmup, options_.seconds, options_.count, options_.server_pid});
    while (!window.advance(messages_) && alive_ != 0) turn();
    if (alive_ == 0) {
        std::fprintf(stderr, "every connection has been lost\n");
        return 1;
    }
    report(window);
    return errors_ == 0 ? 0 : 1;
}

void Load::turn() {
    const int submitted = io_uring_submit_and_wait(&ring_, 1);
    if (submitted < 0 && submitted != -EINTR && submitted != -EAGAIN) fail("io_uring_enter", -submitted);
    unsigned head = 0, seen = 0;
    io_uring_cqe* completion = nullptr;
    io_uring_for_each_cqe(&ring_, head, completion) {
        handle(*completion);
        ++seen;
    }
    io_uring_cq_advance(&ring_, seen);
    io_uring_buf_ring_advance(buffers_, freed_buffers_);
    freed_buffers_ = 0;
}

void Load::handle(const io_uring_cqe& completion) {
    const auto index = static_cast<std::size_t>(completion.user_data >> 8U);
    switch (static_cast<Event>(completion.user_data & 0xffU)) {
        case Event::received:
            received(completion, index);
            break;
        case Event::sent:
        case Event::connected:
            // Only failures are reported here; the receive fails, too, and ends the connection.
            if (completion.res != -ECANCELED) ++errors_;
            break;
        case Event::closed:
            ++errors_;
            break;
        case Event::tick:
            tick();
            break;
    }
}

void Load::received(const io_uring_cqe& completion, std::size_t index) {
    if (completion.res <= 0) {
        if (completion.res == -ENOBUFS) {
            receive(index);
        } else {
            ended(index, -completion.res);
        }
        return;
    }
    const unsigned buffer = completion.flags >> IORING_CQE_BUFFER_SHIFT;
    char* const bytes = buffer_memory_.data() + buffer * buffer_size_;
    const bool armed = (completion.flags & IORING_CQE_F_MORE) != 0;
    const std::size_t complete = take(index, bytes, static_cast<std::size_t>(completion.res));
    io_uring_buf_ring_add(buffers_, bytes, static_cast<unsigned>(buffer_size_),
                          static_cast<unsigned short>(buffer), buffer_count - 1, freed_buffers_++);
    messages_ += complete;
    if (options_.churn && complete != 0) {
        replace(index);
        return;
    }
    if (complete != 0) send(index, complete * options_.bytes);
    if (!armed) receive(index);
}

// Checks what came back; returns how many messages it made whole.
std::size_t Load::take(std::size_t index, const char* bytes, std::size_t size) {
    Connection& connection = connections_[index];
    if (std::memcmp(bytes, pattern_.data() + connection.receive_at, size) != 0) {
        std::fprintf(stderr, "connection %zu: the echo differs from what was sent\n", index);
        ++errors_;
    }
    verified_bytes_ += size;
    connection.receive_at = (connection.receive_at + size) % pattern_period;
    connection.partial += size;
    const std::size_t complete = connection.partial / options_.bytes;
    connection.partial %= options_.bytes;
    if (complete != 0 && !connection.is_served) {
        connection.is_served = true;
        ++served_;
    }
    return complete;
}

// A connection that has carried its message makes room for the next.
void Load::replace(std::size_t index) {
    io_uring_sqe* entry = ring_next(&ring_);
    io_uring_prep_close(entry, connections_[index].fd);
    entry->flags |= IOSQE_CQE_SKIP_SUCCESS;
    io_uring_sqe_set_data64(entry, tag(Event::closed, index));
    --alive_;
    start(index);
}

void Load::ended(std::size_t index, int error) {
    std::fprintf(stderr, "connection %zu: %s\n", index,
                 error == 0 ? "closed by the server" : std::strerror(error));
    ++errors_;
    --alive_;
    close(connections_[index].fd);
}

void Load::tick() {
    idle_ticks_ = messages_ == messages_at_tick_ ? idle_ticks_ + 1 : 0;
    messages_at_tick_ = messages_;
    if (idle_ticks_ == stalled_seconds) {
        std::fprintf(stderr, "nothing has come back for %d seconds\n", stalled_seconds);
        std::exit(1);
    }
    arm_tick();
}

void Load::report(const Window& window) const {
    const Window::Figures figures = window.figures();
    std::printf(
        "{\"mode\":\"%s\",\"connections\":%zu,\"bytes\":%zu,\"depth\":%zu,\"messages\":%llu,\"errors\":%llu,"
        "\"verified_bytes\":%llu,\"seconds\":%.6f,\"server_cpu_seconds\":%.6f,\"load_cpu_seconds\":%.6f}\n",
        options_.churn ? "churn" : "echo", options_.connections, options_.bytes, options_.depth,
        static_cast<unsigned long long>(figures.messages), static_cast<unsigned long long>(errors_),
        static_cast<unsigned long long>(verified_bytes_), figures.seconds, figures.server_cpu_s,
        figures.load_cpu_s);
}

constexpr const char* usage =
    "usage: echo_load --port PORT [--pid SERVER] [--connections N] [--bytes N] [--depth N] [--churn]\n"
    "                 [--seconds S] [--warmup S] [--count N]\n";

Options parse(int argc, char** argv) {
    static constexpr std::array<option, 11> known{{{"port", required_argument, nullptr, 'p'},
                                                   {"pid", required_argument, nullptr, 'P'},
                                                   {"connections", required_argument, nullptr, 'c'},
                                                   {"bytes", required_argument, nullptr, 'b'},
                                                   {"depth", required_argument, nullptr, 'd'},
                                                   {"seconds", required_argument, nullptr, 's'},
                                                   {"warmup", required_argument, nullptr, 'w'},
                                                   {"count", required_argument, nullptr, 'm'},
                                                   {"churn", no_argument, nullptr, 'C'},
                                                   {"help", no_argument, nullptr, 'h'},
                                                   {nullptr, 0, nullptr, 0}}};
    Options options;
    int which = 0;
    for (int letter; (letter = getopt_long(argc, argv, "", known.data(), &which)) != -1;) {
        if (letter == '?') std::exit(2);
        const std::string_view name = known[static_cast<std::size_t>(which)].name;
        const auto number = [&](std::uint64_t least, std::uint64_t most) {
            return parse_number(name, optarg, least, most);
        };
        switch (letter) {
            case 'p':
                options.port = static_cast<std::uint16_t>(number(1, 65535));
                break;
            case 'P':
                options.server_pid = static_cast<int>(number(1, 1U << 30U));
                break;
            case 'c':
                options.connections = number(1, 1'000'000);
                break;
            case 'b':
                options.bytes = number(1, flight_limit);
                break;
            case 'd':
                options.depth = number(1, flight_limit);
                break;
            case 's':
                options.seconds = parse_seconds(name, optarg);
                break;
            case 'w':
                options.warmup = parse_seconds(name, optarg);
                break;
            case 'm':
                options.count = number(1, UINT64_MAX);
                break;
            case 'C':
                options.churn = true;
                break;
            default:
                std::fputs(usage, stdout);
                std::exit(0);
        }
    }
    if (options.port == 0 || optind != argc || options.bytes * options.depth > flight_limit) {
        std::fputs(usage, stderr);
        std::fprintf(stderr, "bytes times depth is at most %zu\n", flight_limit);
        std::exit(2);
    }
    return options;
}

}  // namespace
}  // namespace confab::bench

int main(int argc, char** argv) {
    const confab::bench::Options options = confab::bench::parse(argc, argv);
    confab::bench::raise_descriptor_limit();
    return confab::bench::Load(options).run();
}
