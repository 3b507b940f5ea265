#include "reactor/simulated.hpp"

#include <netinet/in.h>

#include <algorithm>
#include <cassert>
#include <cstdio>
#include <stdexcept>

#include "reactor/simulated_faults.hpp"
#include "reactor/simulated_sockets.hpp"

namespace confab {

SimulatedNetwork::SimulatedNetwork(const SimulationOptions& options)
    : options_(options),
      faults_(std::make_unique<SimulatedFaults>(options_)),
      sockets_(std::make_unique<SimulatedSockets>(options_, *faults_)) {}

SimulatedNetwork::~SimulatedNetwork() {
    assert(!sockets_->watched() && "a reactor outlives its network");
    if (asked_for_leaks_) return;
    const std::string text = leaks();
    if (!text.empty()) std::fprintf(stderr, "a simulated network dies with\n%s", text.c_str());
}

int SimulatedNetwork::listen(std::uint16_t port, bool shared) { return sockets_->listen(port, shared); }

int SimulatedNetwork::socket() { return sockets_->socket(); }

std::pair<int, int> SimulatedNetwork::connected_pair() {
    if (sockets_->free_descriptors() < 2) throw std::runtime_error("no two descriptors left for a pair");
    return sockets_->connected_pair();
}

int SimulatedNetwork::port(int fd) const { return sockets_->port(fd); }

Endpoint SimulatedNetwork::endpoint(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return {reinterpret_cast<const sockaddr*>(&address), sizeof address};
}

int SimulatedNetwork::connect(int fd, std::uint16_t port) { return sockets_->connect(fd, port); }
int SimulatedNetwork::accept(int fd) { return sockets_->accept(fd); }
int SimulatedNetwork::send(int fd, Bytes bytes) { return sockets_->send(fd, bytes); }
int SimulatedNetwork::receive(int fd, std::span<std::byte> bytes) { return sockets_->receive(fd, bytes); }
int SimulatedNetwork::shutdown(int fd, int how) { return sockets_->shutdown(fd, how); }
int SimulatedNetwork::close(int fd) { return sockets_->close(fd); }
short SimulatedNetwork::poll(int fd) const { return sockets_->events(fd); }

void SimulatedNetwork::fail_next(Operation::Kind kind, int error) { faults_->fail_next(kind, error); }

void SimulatedNetwork::shorten_next(Operation::Kind kind, std::size_t bytes) {
    faults_->shorten_next(kind, bytes);
}

void SimulatedNetwork::delay_next(Operation::Kind kind, Duration delay) { faults_->delay_next(kind, delay); }

void SimulatedNetwork::reset(int fd, int error) { sockets_->reset(fd, error); }

void SimulatedNetwork::set_descriptor_limit(int limit) { sockets_->set_descriptor_limit(limit); }

int SimulatedNetwork::open_descriptors() const { return sockets_->open_descriptors(); }

Instant SimulatedNetwork::now() const { return sockets_->now(); }

void SimulatedNetwork::pass(Duration duration) { sockets_->advance(after(now(), duration)); }

bool SimulatedNetwork::step(const std::vector<Reactor*>& reactors) {
    Instant next = never;
    candidates_.clear();
    for (Reactor* const reactor : reactors) {
        const Instant due = reactor->next_due();
        next = std::min(next, due);
        if (due <= now()) candidates_.push_back(reactor);
    }
    if (next == never) return false;
    if (candidates_.empty()) {
        sockets_->advance(next);
    } else {
        const std::size_t chosen = candidates_.size() == 1 ? 0 : faults_->below(candidates_.size());
        candidates_[chosen]->turn();
    }
    return true;
}

std::uint64_t SimulatedNetwork::random(std::uint64_t limit) { return faults_->below(limit); }

std::string SimulatedNetwork::leaks() const {
    asked_for_leaks_ = true;
    return sockets_->leaks();
}

}  // namespace confab
