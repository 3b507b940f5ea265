// SimulatedSockets: connections, once they are made.
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <utility>

#include "reactor/simulated_socket.hpp"

namespace confab {

void SimulatedSockets::deliver(Socket& target, Bytes bytes, bool end) {
    const Duration travel_time = faults_.travel_time();
    const Instant arrival = after(now_, travel_time);
    if (!bytes.empty()) target.incoming.put(bytes, arrival);
    if (end) target.incoming.put_end(arrival);
    plan_for(target, Happening::arrival, travel_time);
}

int SimulatedSockets::send(int fd, Bytes bytes) {
    Socket* const socket = find(fd);
    if (socket == nullptr) return -EBADF;
    if (socket->error != 0) return -std::exchange(socket->error, 0);
    if (socket->kind == Socket::Kind::connecting) return -EAGAIN;
    if (socket->kind != Socket::Kind::stream || socket->end_sent || socket->broken) return -EPIPE;
    bytes = bytes.first(std::min<std::size_t>(bytes.size(), std::numeric_limits<int>::max()));
    if (bytes.empty()) return 0;
    if (socket->peer == nullptr) {
        // Nobody is there any more: the bytes go out all the same, and a reset comes back.
        if (!std::exchange(socket->doomed, true)) {
            plan_for(*socket, Happening::reset, faults_.travel_time());
        }
        return static_cast<int>(bytes.size());
    }
    const std::size_t held = socket->peer->incoming.held();
    const std::size_t room = held < options_.buffer_size ? options_.buffer_size - held : 0;
    if (room < bytes.size()) socket->starved = true;
    if (room == 0) return -EAGAIN;
    bytes = bytes.first(std::min(room, bytes.size()));
    deliver(*socket->peer, bytes, false);
    return static_cast<int>(bytes.size());
}

std::size_t SimulatedSockets::readable(int fd) const {
    const Socket* const socket = find(fd);
    return socket == nullptr ? 0 : socket->incoming.readable();
}

int SimulatedSockets::receive(int fd, std::span<std::byte> target) {
    Socket* const socket = find(fd);
    if (socket == nullptr) return -EBADF;
    const std::size_t count = socket->incoming.take(target);
    if (count > 0) {
        if (socket->peer != nullptr && std::exchange(socket->peer->starved, false)) changed(*socket->peer);
        return static_cast<int>(count);
    }
    if (socket->error != 0) return -std::exchange(socket->error, 0);
    if (socket->kind == Socket::Kind::connecting) return -EAGAIN;
    if (socket->kind != Socket::Kind::stream) return -ENOTCONN;
    const bool over = socket->incoming.ended() || socket->reading_shut || socket->broken;
    return over ? 0 : -EAGAIN;
}

int SimulatedSockets::shutdown(int fd, int how) {
    Socket* const socket = find(fd);
    if (socket == nullptr) return -EBADF;
    if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR) return -EINVAL;
    if (socket->kind != Socket::Kind::stream || socket->broken) return -ENOTCONN;
    if (how != SHUT_WR) socket->reading_shut = true;
    if (how != SHUT_RD && !std::exchange(socket->end_sent, true) && socket->peer != nullptr) {
        deliver(*socket->peer, {}, true);
    }
    changed(*socket);
    return 0;
}

void SimulatedSockets::close_stream(Socket& socket) {
    if (socket.peer == nullptr) return;
    if (socket.incoming.held() > 0) {
        send_reset(socket);
        return;
    }
    Socket& peer = *std::exchange(socket.peer, nullptr);
    peer.peer = nullptr;
    if (!socket.end_sent) deliver(peer, {}, true);
}

void SimulatedSockets::reset(int fd, int error) {
    Socket* const socket = find(fd);
    if (socket == nullptr || socket->kind != Socket::Kind::stream || socket->broken) return;
    send_reset(*socket);
    break_connection(*socket, error);
}

// The end at `socket` is gone; the other end hears of it when word gets there.
void SimulatedSockets::send_reset(Socket& socket) {
    Socket* const peer = std::exchange(socket.peer, nullptr);
    if (peer == nullptr) return;
    peer->peer = nullptr;
    if (!std::exchange(peer->doomed, true)) plan_for(*peer, Happening::reset, faults_.travel_time());
}

void SimulatedSockets::break_connection(Socket& socket, int error) {
    if (socket.broken) return;
    socket.broken = true;
    socket.error = error;
    socket.incoming.cut();
    changed(socket);
}

}  // namespace confab
