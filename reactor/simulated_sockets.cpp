#include "reactor/simulated_sockets.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <limits>
#include <stdexcept>
#include <utility>

#include "reactor/simulated_socket.hpp"

namespace confab {

namespace {

// What Linux does with a connection request that is not answered: repeated after 1 s, then after twice as
// long each time, six times (tcp(7), tcp_syn_retries); given up after 127 s.
constexpr Duration first_patience = std::chrono::seconds(1);
constexpr int knocks_at_most = 7;
static_assert(SimulatedSockets::connect_patience == first_patience * ((1 << knocks_at_most) - 1));

// Any instant would do; not 0, which a handler may take for "not set".
constexpr Instant start_of_time{std::chrono::hours(1)};

}  // namespace

SimulatedSockets::SimulatedSockets(const SimulationOptions& options, SimulatedFaults& faults)
    : options_(options), faults_(faults), now_(start_of_time), descriptor_limit_(options.descriptor_limit) {}

SimulatedSockets::~SimulatedSockets() = default;

void SimulatedSockets::detach(SimulatedWatcher& watcher) {
    std::erase(watchers_, &watcher);
    for (Event& event : agenda_) {
        if (event.watcher == &watcher) event.watcher = nullptr;
    }
}

// ---- The clock ----

bool SimulatedSockets::later(const Event& one, const Event& other) {
    return one.when != other.when ? one.when > other.when : one.order > other.order;
}

void SimulatedSockets::plan(Event event) {
    event.order = events_planned_++;
    agenda_.push_back(event);
    std::ranges::push_heap(agenda_, later);
}

void SimulatedSockets::call_back(SimulatedWatcher& watcher, int fd, std::uint64_t token, Duration delay) {
    plan({after(now_, delay), 0, Happening::call_back, fd, token, nullptr, &watcher});
}

void SimulatedSockets::plan_for(Socket& socket, Happening what, Duration delay) {
    const Event event{after(now_, delay), 0, what, -1, socket.serial, &socket, nullptr};
    if (delay > Duration::zero()) {
        plan(event);
    } else {
        happen(event);
    }
}

void SimulatedSockets::advance(Instant instant) {
    while (!agenda_.empty() && agenda_.front().when <= instant) {
        std::ranges::pop_heap(agenda_, later);
        const Event event = agenda_.back();
        agenda_.pop_back();
        now_ = std::max(now_, event.when);
        happen(event);
    }
    now_ = std::max(now_, instant);
}

void SimulatedSockets::happen(const Event& event) {
    if (event.what == Happening::call_back) {
        if (event.watcher != nullptr) event.watcher->called_back(event.fd, event.token);
        return;
    }
    Socket& socket = *event.socket;
    if (socket.serial != event.token) return;  // closed meanwhile
    switch (event.what) {
        case Happening::arrival:
            socket.incoming.arrive(now_);
            changed(socket);
            break;
        case Happening::reset:
            break_connection(socket, ECONNRESET);
            break;
        default:
            knock(socket);
    }
}

// ---- Descriptors ----

SimulatedSockets::Socket* SimulatedSockets::find(int fd) const {
    const auto index = static_cast<std::size_t>(fd - options_.first_descriptor);
    return fd >= options_.first_descriptor && index < descriptors_.size() ? descriptors_[index] : nullptr;
}

SimulatedSockets::Socket& SimulatedSockets::make_socket(const char* origin) {
    if (unused_.empty()) unused_.push_back(sockets_.emplace_back(std::make_unique<Socket>()).get());
    Socket& socket = *unused_.back();
    unused_.pop_back();
    socket.serial = ++sockets_made_;
    socket.origin = origin;
    return socket;
}

// As new, but for the memory of its pipe and its backlog.
void SimulatedSockets::recycle(Socket& socket) {
    Socket fresh;
    fresh.incoming = std::move(socket.incoming);
    fresh.incoming.clear();
    fresh.backlog = std::move(socket.backlog);
    fresh.backlog.clear();
    socket = std::move(fresh);
    unused_.push_back(&socket);
}

int SimulatedSockets::open(Socket& socket) {
    ++open_count_;
    if (free_descriptors_.empty()) {
        descriptors_.push_back(&socket);
        return socket.fd = options_.first_descriptor + static_cast<int>(descriptors_.size()) - 1;
    }
    std::ranges::pop_heap(free_descriptors_, std::greater{});
    const int index = free_descriptors_.back();
    free_descriptors_.pop_back();
    descriptors_[static_cast<std::size_t>(index)] = &socket;
    return socket.fd = options_.first_descriptor + index;
}

int SimulatedSockets::close(int fd) {
    Socket* const socket = find(fd);
    if (socket == nullptr) return -EBADF;
    for (const SimulatedWatcher* const watcher : watchers_) {
        if (watcher->has_in_flight(fd)) {
            throw std::logic_error("descriptor " + std::to_string(fd) +
                                   " closed with an operation in flight:\n" + watcher->in_flight());
        }
    }
    const int index = fd - options_.first_descriptor;
    descriptors_[static_cast<std::size_t>(index)] = nullptr;
    free_descriptors_.push_back(index);
    std::ranges::push_heap(free_descriptors_, std::greater{});
    --open_count_;
    if (socket->kind == Socket::Kind::listener) close_listener(*socket);
    if (socket->kind == Socket::Kind::stream) close_stream(*socket);
    recycle(*socket);
    return 0;
}

std::string SimulatedSockets::leaks() const {
    std::string text;
    for (const Socket* const socket : descriptors_) {
        if (socket == nullptr) continue;
        text += "descriptor " + std::to_string(socket->fd) + " (" + socket->origin + ") is open\n";
    }
    for (const SimulatedWatcher* const watcher : watchers_) text += watcher->in_flight();
    return text;
}

void SimulatedSockets::changed(const Socket& socket) {
    if (socket.fd < 0) return;  // in a backlog: nobody can wait for it
    for (SimulatedWatcher* const watcher : watchers_) watcher->readiness_changed(socket.fd);
}

short SimulatedSockets::events(int fd) const {
    const Socket* const socket = find(fd);
    if (socket == nullptr) return POLLNVAL;
    const bool error = socket->error != 0;
    switch (socket->kind) {
        case Socket::Kind::fresh:
            return static_cast<short>(POLLOUT | POLLHUP | (error ? POLLERR | POLLIN : 0));
        case Socket::Kind::connecting:
            return 0;
        case Socket::Kind::listener:
            return socket->backlog.empty() ? 0 : POLLIN;
        case Socket::Kind::stream:
            break;
    }
    const bool no_more_in = socket->incoming.ended() || socket->reading_shut || socket->broken;
    const bool no_more_out = socket->end_sent || socket->broken;
    const bool readable = socket->incoming.readable() > 0 || no_more_in || error;
    const bool room = socket->peer == nullptr || socket->peer->incoming.held() < options_.buffer_size;
    return static_cast<short>((readable ? POLLIN : 0) | (no_more_in ? POLLRDHUP : 0) |
                              (room || no_more_out || error ? POLLOUT : 0) |
                              (no_more_in && no_more_out ? POLLHUP : 0) | (error ? POLLERR : 0));
}

// ---- Connecting ----

int SimulatedSockets::listen(std::uint16_t port, bool shared) {
    if (free_descriptors() <= 0) return -EMFILE;
    const auto taken = [&](const Socket* listener) {
        return listener->port == port && !(shared && listener->shared);
    };
    if (port == 0) port = free_port();
    if (std::ranges::any_of(listeners_, taken)) return -EADDRINUSE;
    Socket& socket = make_socket("listener");
    socket.kind = Socket::Kind::listener;
    socket.port = port;
    socket.shared = shared;
    listeners_.push_back(&socket);
    return open(socket);
}

std::uint16_t SimulatedSockets::free_port() {
    do {
        last_port_ = std::max<std::uint16_t>(static_cast<std::uint16_t>(last_port_ + 1), 32768);
    } while (std::ranges::find(listeners_, last_port_, &Socket::port) != listeners_.end());
    return last_port_;
}

int SimulatedSockets::socket() { return free_descriptors() > 0 ? open(make_socket("socket")) : -EMFILE; }

std::pair<int, int> SimulatedSockets::connected_pair() {
    Socket& one = make_socket("pair");
    Socket& other = make_socket("pair");
    one.kind = other.kind = Socket::Kind::stream;
    one.peer = &other;
    other.peer = &one;
    const int first = open(one);
    return {first, open(other)};
}

int SimulatedSockets::port(int fd) const {
    const Socket* const socket = find(fd);
    return socket != nullptr && socket->kind == Socket::Kind::listener ? socket->port : -EBADF;
}

int SimulatedSockets::connect(int fd, std::uint16_t port) {
    Socket* const socket = find(fd);
    if (socket == nullptr) return -EBADF;
    if (socket->kind == Socket::Kind::connecting) return -EALREADY;
    if (socket->kind != Socket::Kind::fresh) return -EISCONN;
    socket->kind = Socket::Kind::connecting;
    socket->port = port;
    socket->knocks = 0;
    plan_for(*socket, Happening::knock, faults_.travel_time());
    return socket->kind == Socket::Kind::connecting ? -EINPROGRESS : connect_result(fd);
}

int SimulatedSockets::connect_result(int fd) {
    Socket* const socket = find(fd);
    if (socket == nullptr) return -EBADF;
    if (socket->error != 0) return -std::exchange(socket->error, 0);
    if (socket->kind == Socket::Kind::connecting) return -EAGAIN;
    return socket->kind == Socket::Kind::stream ? 0 : -ENOTCONN;
}

SimulatedSockets::Socket* SimulatedSockets::listener_for(std::uint16_t port) {
    const auto count = static_cast<std::uint64_t>(std::ranges::count(listeners_, port, &Socket::port));
    if (count == 0) return nullptr;
    std::uint64_t skipped = count == 1 ? 0 : faults_.below(count);
    return *std::ranges::find_if(
        listeners_, [&](const Socket* listener) { return listener->port == port && skipped-- == 0; });
}

void SimulatedSockets::knock(Socket& client) {
    Socket* const listener = listener_for(client.port);
    if (listener == nullptr) {
        connection_failed(client, ECONNREFUSED);
        return;
    }
    if (listener->backlog.size() >= options_.backlog) {
        if (client.knocks == knocks_at_most) {
            connection_failed(client, ETIMEDOUT);
        } else {
            plan_for(client, Happening::knock, first_patience * (1 << client.knocks++));
        }
        return;
    }
    Socket& server = make_socket("accepted");
    server.kind = client.kind = Socket::Kind::stream;
    server.peer = &client;
    client.peer = &server;
    listener->backlog.push_back(&server);
    changed(*listener);
    changed(client);
}

void SimulatedSockets::connection_failed(Socket& client, int error) {
    client.kind = Socket::Kind::fresh;
    client.error = error;
    changed(client);
}

int SimulatedSockets::accept(int fd) {
    Socket* const listener = find(fd);
    if (listener == nullptr) return -EBADF;
    if (listener->kind != Socket::Kind::listener) return -EINVAL;
    if (listener->backlog.empty()) return -EAGAIN;
    if (free_descriptors() <= 0) return -EMFILE;
    Socket& socket = *listener->backlog.front();
    listener->backlog.erase(listener->backlog.begin());
    return open(socket);
}

bool SimulatedSockets::abort_next(int fd) {
    Socket* const listener = find(fd);
    if (listener == nullptr || listener->backlog.empty()) return false;
    Socket& socket = *listener->backlog.front();
    listener->backlog.erase(listener->backlog.begin());
    send_reset(socket);
    recycle(socket);
    return true;
}

void SimulatedSockets::close_listener(Socket& socket) {
    std::erase(listeners_, &socket);
    for (Socket* const waiting : socket.backlog) {
        send_reset(*waiting);
        recycle(*waiting);
    }
}

}  // namespace confab
