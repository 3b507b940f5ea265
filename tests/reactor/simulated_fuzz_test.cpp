// Random traffic in simulated worlds, a new one for each seed: an echo server on several reactors, and
// clients that check every byte that comes back. A failed check names its seed, and that seed gives the same
// run again.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include "reactor/simulated.hpp"

using namespace confab;
using namespace std::chrono_literals;
using Kind = Operation::Kind;

namespace {

/// All that completes, as a number.
struct Transcript {
    std::uint64_t hash = 0xcbf29ce484222325;

    void add(const Operation& operation, Instant now) {
        const std::array<std::int64_t, 4> fields{now.time_since_epoch().count(),
                                                 static_cast<std::int64_t>(operation.kind), operation.fd,
                                                 operation.result};
        for (const std::int64_t field : fields) {
            hash = (hash ^ static_cast<std::uint64_t>(field)) * 0x100000001b3;
        }
    }
};

class Machine;

struct Town {
    Town(const SimulationOptions& options, std::size_t reactor_count);

    SimulatedNetwork network;
    std::vector<std::unique_ptr<Reactor>> reactors;
    std::vector<Reactor*> turns;
    int listener;
    Transcript transcript;
    std::vector<std::unique_ptr<Machine>> machines;
    int open = 0;  // connections' ends that are not closed
    int echoed = 0;
    int broken = 0;
    bool closing = false;
};

/// Something made of operations. `step` hears of each that is over.
class Machine {
  public:
    Machine(Town& town, Reactor& reactor) : town_(town), reactor_(reactor) {}
    virtual ~Machine() = default;

  protected:
    struct Part : Operation {
        Part(Machine& machine, Kind what) : Operation(what, -1, &completed), owner(machine) {}
        Machine& owner;

      private:
        static void completed(Operation& self) noexcept {
            auto& part = static_cast<Part&>(self);
            part.owner.over(part);
        }
    };

    void start(Part& part) {
        if (reactor_.submit(part)) over(part);
    }
    /// One time in `often`.
    bool now_and_then(std::uint64_t often) { return town_.network.random(often) == 0; }
    Town& town() { return town_; }
    Reactor& reactor() { return reactor_; }

  private:
    virtual void step(Part& part) = 0;
    void over(Part& part) {
        town_.transcript.add(part, town_.network.now());
        step(part);
    }

    Town& town_;
    Reactor& reactor_;
};

Town::Town(const SimulationOptions& options, std::size_t reactor_count)
    : network(options), listener(network.listen(80)) {
    for (std::size_t i = 0; i < reactor_count; ++i) {
        reactors.push_back(std::make_unique<Reactor>(
            ReactorOptions{.waiting = Waiting::simulated, .receive_size = 512, .network = &network}));
        turns.push_back(reactors.back().get());
    }
}

/// Sends back what comes until the end of the stream or an error.
class Echo : public Machine {
  public:
    Echo(Town& town, Reactor& reactor, int fd) : Machine(town, reactor) {
        ++town.open;
        receive_.fd = send_.fd = close_.fd = fd;
        start(receive_);
    }

  private:
    void step(Part& part) override {
        if (part.kind == Kind::close) {
            --town().open;
        } else if (part.result <= 0) {
            start(close_);
        } else if (part.kind == Kind::receive) {
            // A copy, since scratch is lent only until this returns.
            copy_.assign(part.bytes.begin(), part.bytes.end());
            rest_ = {copy_.data(), copy_.size()};
            send_.parts = {.data = &rest_, .count = 1, .done = 0};
            start(send_);
        } else {
            CHECK(part.result == static_cast<int>(copy_.size()));
            start(receive_);
        }
    }

    Part receive_{*this, Kind::receive};
    Part send_{*this, Kind::send};
    Part close_{*this, Kind::close};
    std::vector<std::byte> copy_;
    iovec rest_{};
};

/// Accepts until the town closes; after an error, such as being out of descriptors, again a little later.
class Acceptor : public Machine {
  public:
    Acceptor(Town& town, Reactor& reactor) : Machine(town, reactor) {
        accept_.fd = town.listener;
        start(accept_);
    }
    void stop() {
        reactor().cancel(accept_);
        reactor().cancel(sleep_);
    }

  private:
    void step(Part& part) override {
        if (town().closing) return;
        if (part.result < 0) {
            sleep_.deadline = reactor().now() + 5ms;
            start(sleep_);
            return;
        }
        if (part.kind == Kind::accept) {
            town().machines.push_back(std::make_unique<Echo>(town(), reactor(), part.result));
        }
        start(accept_);
    }

    Part accept_{*this, Kind::accept};
    Part sleep_{*this, Kind::sleep};
};

/// Connects, until it succeeds; says its bytes while it listens for their echo; impatient now and then.
class Client : public Machine {
  public:
    Client(Town& town, Reactor& reactor, unsigned key)
        : Machine(town, reactor), key_(key), total_(town.network.random(6000)) {
        ++town.open;
        connect();
    }

  private:
    std::byte at(std::size_t position) const { return static_cast<std::byte>((position * 7 + key_) % 251); }

    void connect() {
        const int fd = town().network.socket();
        if (fd < 0) {
            sleep_.deadline = reactor().now() + 3ms;
            start(sleep_);
            return;
        }
        for (Part* const part : {&connect_, &send_, &shutdown_, &receive_, &close_}) part->fd = fd;
        connect_.address = {.data = server_.address(), .size = server_.size()};
        start(connect_);
    }

    void step(Part& part) override {
        switch (part.kind) {
            case Kind::sleep:
                return connect();
            case Kind::connect:
                if (part.result < 0) return start(close_);
                connected_ = true;
                receive();
                return send();
            case Kind::send:
                if (part.result < 0) return;  // the receive says so, too
                sent_ += chunk_.size();
                return send();
            case Kind::shutdown:
                return;
            case Kind::receive:
                return received(part);
            default:
                if (!connected_) return connect();
                --town().open;
        }
    }

    void send() {
        if (sent_ == total_) {
            shutdown_.how = SHUT_WR;
            return start(shutdown_);
        }
        chunk_.resize(std::min(total_ - sent_, 1 + town().network.random(1500)));
        for (std::size_t i = 0; i < chunk_.size(); ++i) chunk_[i] = at(sent_ + i);
        const std::size_t half = chunk_.size() / 2;
        parts_ = {iovec{chunk_.data(), half}, iovec{chunk_.data() + half, chunk_.size() - half}};
        send_.parts = {.data = parts_.data(), .count = 2, .done = 0};
        start(send_);
    }

    void receive() {
        receive_.deadline = now_and_then(4) ? reactor().now() + 10ms : never;
        start(receive_);
        if (now_and_then(8)) reactor().cancel(receive_);
    }

    void received(const Part& part) {
        if (part.result == -ETIMEDOUT || part.result == -ECANCELED) return receive();
        if (part.result > 0) {
            bool as_sent = received_ + part.bytes.size() <= total_;
            for (const std::byte byte : part.bytes) as_sent = as_sent && byte == at(received_++);
            CHECK(as_sent);
            return receive();
        }
        if (part.result == 0 && received_ == total_) {
            ++town().echoed;
        } else {
            ++town().broken;
        }
        start(close_);
    }

    const unsigned key_;
    const std::size_t total_;
    const Endpoint server_ = SimulatedNetwork::endpoint(80);
    bool connected_ = false;
    std::size_t sent_ = 0;
    std::size_t received_ = 0;
    std::vector<std::byte> chunk_;
    std::array<iovec, 2> parts_{};
    Part sleep_{*this, Kind::sleep};
    Part connect_{*this, Kind::connect};
    Part send_{*this, Kind::send};
    Part shutdown_{*this, Kind::shutdown};
    Part receive_{*this, Kind::receive};
    Part close_{*this, Kind::close};
};

constexpr int clients = 8;

struct Outcome {
    int echoed;
    int broken;
    std::uint64_t transcript;
};

Outcome run_town(const SimulationOptions& options) {
    Town town(options, 1 + options.seed % 3);
    std::vector<Acceptor*> acceptors;
    for (Reactor* const reactor : town.turns) {
        auto acceptor = std::make_unique<Acceptor>(town, *reactor);
        acceptors.push_back(acceptor.get());
        town.machines.push_back(std::move(acceptor));
    }
    for (unsigned i = 0; i < clients; ++i) {
        Reactor& reactor = *town.turns[i % town.turns.size()];
        town.machines.push_back(std::make_unique<Client>(town, reactor, i * 31));
    }
    CHECK(town.network.run(town.turns, [&] { return town.open == 0; }) == Reactor::End::stopped);
    // Connections in the backlog whose clients have gone are accepted and found out, too.
    town.network.run(town.turns, [] { return false; });
    CHECK(town.open == 0);
    town.closing = true;
    for (Acceptor* const acceptor : acceptors) acceptor->stop();
    town.network.run(town.turns, [] { return false; });
    CHECK(town.network.close(town.listener) == 0);
    CHECK(town.network.leaks() == "");
    return {town.echoed, town.broken, town.transcript.hash};
}

// A world by seed: each fault is absent, rare or frequent; no connection is reset.
SimulationOptions world_of(std::uint64_t seed) {
    SimulationOptions options;
    options.seed = seed;
    SimulatedNetwork dice(options);
    const auto probability = [&] { return std::array{0.0, 0.05, 0.5}[dice.random(3)]; };
    options.lends_scratch = dice.random(2) == 0;
    options.buffer_size = 1 + dice.random(std::array{16U, 1000U, 10000U}[dice.random(3)]);
    options.backlog = 1 + dice.random(clients);
    // Enough for one connection at a time when all clients are there.
    options.descriptor_limit = clients + 2 + static_cast<int>(dice.random(clients));
    options.delay = probability();
    options.late = probability();
    options.short_receive = probability();
    options.short_send = probability();
    options.reorder = probability();
    options.failure(Kind::accept) = {probability(), ENFILE};
    options.failure(Kind::connect) = {probability(), ENETUNREACH};
    return options;
}

}  // namespace

TEST_CASE("simulated: every byte arrives once and in order under every fault short of a reset") {
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
        CAPTURE(seed);
        const Outcome outcome = run_town(world_of(seed));
        CHECK(outcome.echoed == clients);
        CHECK(outcome.broken == 0);
    }
}

TEST_CASE("simulated: with resets and failures, what arrives is the beginning of what was sent") {
    int echoed = 0;
    int broken = 0;
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
        CAPTURE(seed);
        SimulationOptions options = world_of(seed);
        options.reset = 0.01;
        options.failure(Kind::accept) = {0.1, ECONNABORTED};
        options.failure(Kind::receive) = {0.01, ENOMEM};
        options.failure(Kind::connect) = {0.1, ETIMEDOUT};
        const Outcome outcome = run_town(options);
        CHECK(outcome.echoed + outcome.broken == clients);
        echoed += outcome.echoed;
        broken += outcome.broken;
    }
    CHECK(echoed > 0);
    CHECK(broken > 0);
}

TEST_CASE("simulated: a seed gives the same run again, and another seed another one") {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        CAPTURE(seed);
        SimulationOptions options = world_of(seed);
        options.late = 0.5;
        const std::uint64_t transcript = run_town(options).transcript;
        CHECK(run_town(options).transcript == transcript);
        options.seed += 1000;
        CHECK(run_town(options).transcript != transcript);
    }
}
