// Public: a network and a clock inside the process, for testing handlers.
//
// Reactors made with Waiting::simulated and `ReactorOptions::network` serve descriptors of this network in
// place of the kernel's. Nothing here makes a system call or takes real time: the clock is virtual and moves
// only when no reactor has anything to do, straight to what happens next, so an idle time-out of an hour
// costs nothing. Everything that is left to chance - delays, faults, who runs next - comes from one seed: the
// same seed and the same handlers give the same run, to the byte.
//
// Sockets behave as TCP sockets do on Linux: bytes that have arrived can be read although the peer has reset
// the connection, closing with bytes unread resets it, sending to a peer that has closed is answered with a
// reset, a connection request to a full backlog is repeated until it times out after 127 s.
#pragma once

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "reactor/clock.hpp"
#include "reactor/endpoint.hpp"
#include "reactor/operation.hpp"
#include "reactor/reactor.hpp"

namespace confab {

class SimulatedSockets;
class SimulatedFaults;

/// What a simulated world is like. Probabilities are from 0 to 1, each thrown for on its own.
struct SimulationOptions {
    std::uint64_t seed = 1;

    /// True: receives lend one scratch buffer a reactor, as epoll does. False: each lends its own, as
    /// io_uring does. Either way what was lent is overwritten when it goes back (and poisoned under asan).
    bool lends_scratch = true;
    /// Bytes on their way or unread that one direction of a connection holds; a sender waits for more.
    std::size_t buffer_size = std::size_t{64} * 1024;
    /// Connections that a listener holds and nobody has accepted yet.
    std::size_t backlog = 128;
    /// Descriptors are numbered from here, always with the lowest number that is free. By default no real
    /// descriptor has such a number, so a system call that slips through says EBADF.
    int first_descriptor = 1'000'000;
    /// Descriptors that may be open at once; beyond it -EMFILE.
    int descriptor_limit = 1024;

    /// That bytes, connection requests, ends of stream and resets travel for a while instead of no time.
    double delay = 0;
    /// That an operation which could be over is reported later; cancelled ones included.
    double late = 0;
    /// The longest such delay and lateness.
    Duration longest_delay = std::chrono::milliseconds(20);
    /// That a receive brings less than is there.
    double short_receive = 0;
    /// That a send goes out in pieces with delays between them (it still completes wholly).
    double short_send = 0;
    /// That the connection is reset when a send or receive is tried on it.
    double reset = 0;
    /// That the completions of a turn come in another order.
    double reorder = 0;

    /// That a call fails with `error`. accept: ECONNABORTED is the end of the connection that waits, and
    /// hidden from the operation, with any other it stays in the backlog. connect: ETIMEDOUT takes 127 s.
    struct Failure {
        double probability = 0;
        int error = 0;
    };
    /// Of which kind; close and sleep never fail.
    Failure& failure(Operation::Kind kind) { return failures[static_cast<std::size_t>(kind)]; }
    std::array<Failure, 8> failures{};
};

/// The world of simulated reactors.
///
/// Threads: it and all its reactors belong to one thread. Lifetime: outlives its reactors. Several reactors
/// are driven by `run`; one that runs by itself (Reactor::run) takes the others for idle.
/// Misuse throws std::logic_error: two sends at once on a descriptor, closing a descriptor with which another
/// reactor has something in flight.
class SimulatedNetwork {
  public:
    explicit SimulatedNetwork(const SimulationOptions& options = {});
    SimulatedNetwork(const SimulatedNetwork&) = delete;
    SimulatedNetwork& operator=(const SimulatedNetwork&) = delete;
    /// Writes `leaks()` to stderr if there are any and nobody has asked. Requires: no reactors.
    ~SimulatedNetwork();

    // Descriptors for reactors. Each returns -EMFILE at the limit.

    /// A listener; port 0 takes a free one. `shared`: as with SO_REUSEPORT, connections are dealt out among
    /// the listeners of a port that all say so. -EADDRINUSE.
    int listen(std::uint16_t port, bool shared = false);
    /// A fresh socket for Operation::Kind::connect. Any address of AF_INET or AF_INET6 is this network's;
    /// only its port matters.
    int socket();
    /// The two ends of a connection. Throws std::runtime_error at the limit.
    std::pair<int, int> connected_pair();
    /// The port of a listener, or -EBADF.
    int port(int fd) const;
    /// Where a listener on `port` is found.
    static Endpoint endpoint(std::uint16_t port);

    // The calls of somebody outside every reactor. They never wait, and meet no faults except delays on the
    // way: >= 0 or -errno, -EAGAIN when there is nothing to be done now.

    int connect(int fd, std::uint16_t port);  ///< 0, or -EINPROGRESS until it is writable
    int accept(int fd);
    int send(int fd, Bytes bytes);
    int receive(int fd, std::span<std::byte> bytes);
    int shutdown(int fd, int how);
    int close(int fd);
    short poll(int fd) const;  ///< the poll(2) events that hold

    // Faults by appointment, besides those by chance. Each is queued and meets the next call of its kind.

    void fail_next(Operation::Kind kind, int error);
    /// The next receive or piece of a send is of at most `bytes`.
    void shorten_next(Operation::Kind kind, std::size_t bytes);
    /// The next operation that could be over is reported `delay` later.
    void delay_next(Operation::Kind kind, Duration delay);
    /// The connection of `fd` dies here and now, and at the other end when word of it gets there: this end
    /// fails with `error`, that one with ECONNRESET.
    void reset(int fd, int error = ECONNRESET);
    /// From now on that many descriptors may be open; those beyond stay.
    void set_descriptor_limit(int limit);
    int open_descriptors() const;

    // Time.

    Instant now() const;
    /// Moves the clock on, through everything that happens on the network meanwhile. For outsiders: `run`
    /// and Reactor::run do it themselves.
    void pass(Duration duration);

    /// One turn of one reactor, chosen by the seed among those of `reactors` that have something to do; when
    /// none has, moves the clock to what happens next. False: nothing can ever happen again. Who holds a
    /// reactor (Reactor::hold) is not waited for: nobody outside has a part in a simulation.
    bool step(const std::vector<Reactor*>& reactors);

    /// Takes steps until `until()` (End::stopped) or until nothing can ever happen again (End::deadlock).
    template <class Until>
    Reactor::End run(const std::vector<Reactor*>& reactors, Until until) {
        while (!until()) {
            if (!step(reactors)) return Reactor::End::deadlock;
        }
        return Reactor::End::stopped;
    }

    /// A number below `limit` from the world's seed, for tests that choose something themselves.
    std::uint64_t random(std::uint64_t limit);

    /// A line for each descriptor that is open and each operation in flight; empty when all is tidy.
    std::string leaks() const;

    const SimulationOptions& options() const { return options_; }

  private:
    friend class SimulatedMechanism;

    const SimulationOptions options_;
    const std::unique_ptr<SimulatedFaults> faults_;
    const std::unique_ptr<SimulatedSockets> sockets_;
    std::vector<Reactor*> candidates_;  // of a step; kept for its memory
    mutable bool asked_for_leaks_ = false;
};

}  // namespace confab
