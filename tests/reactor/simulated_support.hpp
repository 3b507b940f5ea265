// Internal to tests: operations that remember how they ended, and a small simulated world to run them in.
#pragma once

#include <cstring>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "reactor/reactor.hpp"
#include "reactor/simulated.hpp"

namespace confab {

inline Bytes as_bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

/// Stops its reactor when it completes; copies what a receive brought.
struct Recorded : Operation {
    Recorded(Kind what, int descriptor) : Operation(what, descriptor, &done) {}

    bool completed = false;
    std::string text;
    std::vector<int>* order = nullptr;  ///< where it leaves its descriptor, if anywhere

  private:
    static void done(Operation& operation) noexcept {
        auto& self = static_cast<Recorded&>(operation);
        self.completed = true;
        if (self.kind == Kind::receive && self.result > 0) {
            self.text.assign(reinterpret_cast<const char*>(self.bytes.data()), self.bytes.size());
        }
        if (self.result < 0) self.text = std::string("error ") + strerrorname_np(-self.result);
        if (self.order != nullptr) self.order->push_back(self.fd);
        Reactor::current()->stop();
    }
};

struct Sending : Recorded {
    Sending(int descriptor, std::string what) : Recorded(Kind::send, descriptor), words(std::move(what)) {
        part = {words.data(), words.size()};
        parts = {.data = &part, .count = 1, .done = 0};
    }
    std::string words;
    iovec part;
};

struct Posted : Job {
    Posted() : Job(&ran_now) {}
    bool ran = false;

  private:
    static void ran_now(Job& job) noexcept {
        static_cast<Posted&>(job).ran = true;
        Reactor::current()->stop();
    }
};

/// A network with one reactor, and calls on it that wait for their end.
struct World {
    explicit World(const SimulationOptions& options = {})
        : network(options), reactor({.waiting = Waiting::simulated, .network = &network}) {}

    SimulatedNetwork network;
    Reactor reactor;

    bool submit(Recorded& operation) { return operation.completed = reactor.submit(operation); }

    /// One that can never be over is cancelled and has no result that anybody expects.
    void run_until(Recorded& operation) {
        const auto over = [&] { return operation.completed; };
        if (network.run({&reactor}, over) == Reactor::End::stopped) return;
        reactor.cancel(operation);
        network.run({&reactor}, over);
        operation.result = 0xdead;
        operation.text = "never over";
    }

    int result_of(Recorded& operation) {
        if (!submit(operation)) run_until(operation);
        return operation.result;
    }

    int send(int fd, std::string text) {
        Sending send(fd, std::move(text));
        return result_of(send);
    }
    /// What came, "" at the end of the stream, or "error NAME".
    std::string receive(int fd) {
        Recorded receive(Operation::Kind::receive, fd);
        result_of(receive);
        return receive.text;
    }
    int accept(int fd) {
        Recorded accept(Operation::Kind::accept, fd);
        return result_of(accept);
    }
    int shutdown(int fd, int how) {
        Recorded shutdown(Operation::Kind::shutdown, fd);
        shutdown.how = how;
        return result_of(shutdown);
    }
    std::uint16_t port(int listener) const { return static_cast<std::uint16_t>(network.port(listener)); }
    int connect(int fd, std::uint16_t port) {
        const Endpoint peer = SimulatedNetwork::endpoint(port);
        Recorded connect(Operation::Kind::connect, fd);
        connect.address = {.data = peer.address(), .size = peer.size()};
        return result_of(connect);
    }
    /// The result of a connect on a socket of its own, which is closed again.
    int connect(std::uint16_t port) {
        const int fd = network.socket();
        const int result = connect(fd, port);
        close_all({fd});
        return result;
    }
    /// A socket that is connected to `listener`.
    int connect_to(int listener) {
        const int fd = network.socket();
        return connect(fd, port(listener)) == 0 ? fd : -1;
    }
    void close_all(std::initializer_list<int> descriptors) {
        for (const int fd : descriptors) {
            Recorded close(Operation::Kind::close, fd);
            result_of(close);
        }
    }
};

}  // namespace confab
