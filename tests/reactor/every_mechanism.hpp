// Internal to tests: one test body, run under every waiting mechanism.
//
//     EVERY_MECHANISM("a receive is given the bytes that a send brings") {  // World& world
//         const auto [here, there] = world.pair();
//         ...
//     }
//
// is a test case for each mechanism, with its name in the reported one: "... <uring>". Bodies say what
// operation.hpp promises, so they may not ask which mechanism they are under. A mechanism that this machine
// does not have is said aloud. EVERY_REAL_MECHANISM leaves out the simulated one: for bodies that need the
// kernel's sockets, such as a peer that is no reactor.
#pragma once

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/socket.h>

#include <functional>
#include <memory>
#include <optional>
#include <source_location>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "reactor/endpoint.hpp"
#include "reactor/reactor.hpp"

namespace confab::testing {

class World;

/// An operation that remembers that it is over, and keeps what it was lent. One that is in flight when it
/// dies is cancelled first.
struct Call : Operation {
    Call(Kind what, int descriptor) : Operation(what, descriptor, &completed) {}
    ~Call();

    bool over = false;
    std::string text;                      ///< a receive's bytes
    std::function<void(Call&)> when_over;  ///< runs on completion, before anybody who waits for it
    World* world = nullptr;                ///< in which it was started

  private:
    static void completed(Operation& operation) noexcept;
};

/// A send of `texts`, which it keeps: each is one part.
struct SendCall : Call {
    SendCall(int descriptor, std::vector<std::string> what);

    std::vector<std::string> texts;
    std::vector<iovec> iovecs;
};

struct ConnectCall : Call {
    ConnectCall(int descriptor, const Endpoint& to);

    Endpoint peer;
};

/// Where a world's sockets come from.
class Sockets {
  public:
    Sockets() = default;
    Sockets(const Sockets&) = delete;
    Sockets& operator=(const Sockets&) = delete;
    virtual ~Sockets() = default;

    struct Pair {
        int here;
        int there;
    };
    /// "tcp4", "tcp6", "unix", "simulated".
    virtual std::string_view name() const = 0;
    virtual bool is_unix() const { return false; }
    /// A connected pair.
    virtual Pair pair() = 0;
    /// A listening socket.
    virtual int listener() = 0;
    /// Where it is reached.
    virtual Endpoint endpoint(int listener) = 0;
    /// A fresh socket, to be connected to what `endpoint` says.
    virtual int socket() = 0;
    /// Where nobody listens.
    virtual Endpoint nowhere() = 0;
    /// Where a connection request is not answered. Not for Unix sockets, which are always answered.
    virtual Endpoint silence() = 0;
    /// Closes `fd`, which nobody serves, so that its peer sees a reset. Not for Unix sockets, which know
    /// none.
    virtual void reset(int fd) = 0;
    /// Closes `fd`, which nobody serves any more.
    virtual void close(int fd) = 0;
    /// From now on there may be that many more descriptors; 0: none. Once a world.
    virtual void leave_descriptors(int count) = 0;
    /// What ReactorOptions need besides the mechanism.
    virtual void prepare(ReactorOptions& /*options*/) {}
};

/// A reactor under one mechanism, and plain words for its operations. What a body leaves open is closed when
/// it ends; what it leaves in flight is a failure.
class World {
  public:
    World(Waiting waiting, std::unique_ptr<Sockets> sockets);
    World(const World&) = delete;
    World& operator=(const World&) = delete;
    ~World();

    Reactor& reactor() { return *reactor_; }
    Sockets& sockets() { return *sockets_; }
    bool is_unix() const { return sockets_->is_unix(); }

    // Descriptors, which are closed when the world ends, unless a call of `close` has seen to it.

    Sockets::Pair pair();
    int listener();
    int socket();
    /// Takes `fd` into the world's care, and returns it.
    int keep(int fd);
    /// No longer.
    int let_go(int fd);

    // Operations: `start` submits one, which may then be over, and `end` runs the reactor until it is.

    void start(Call& call);
    int end(Call& call);
    /// Cancels `call`, which is in flight, and ends it.
    void abandon(Call& call) noexcept;
    int result_of(Call& call) {
        start(call);
        return end(call);
    }
    /// Runs the reactor until `condition()` holds after some completion or job.
    void run_until(const std::function<bool()>& condition);
    /// Runs the reactor while nothing happens that anybody has arranged: for what must *not* happen.
    void let_pass();

    // Whole operations: submitted, run, and their results.

    int connect(int fd, const Endpoint& peer);
    int accept(int listener);
    int receive(int fd);
    std::string text_from(int fd);                    ///< what one receive brings; "" at the end
    std::string text_from(int fd, std::size_t size);  ///< that much, or less at the end
    int send(int fd, std::string text);
    int shut_down(int fd, int how);
    int close(int fd);

  private:
    const std::unique_ptr<Sockets> sockets_;
    std::unique_ptr<Reactor> reactor_;
    std::vector<int> open_;
};

/// Runs `body` in a world under `waiting`, once for each kind of sockets that it has.
void run_under(Waiting waiting, const char* uring_features, void (*body)(World&));

template <Waiting Which>
struct Under {
    static constexpr Waiting waiting = Which;
    static constexpr const char* uring_features = "all";
};
/// io_uring as older kernels have it, each of which takes other ways.
struct UnderPlainUring : Under<Waiting::uring> {
    static constexpr const char* uring_features = "none";
};
struct UnderUringWithoutBuffers : Under<Waiting::uring> {
    static constexpr const char* uring_features = "all,-buffer_ring";
};
struct UnderUringOfOneShots : Under<Waiting::uring> {
    static constexpr const char* uring_features = "all,-multishot_receive,-multishot_accept";
};
struct UnderUringOfWholeBuffers : Under<Waiting::uring> {
    static constexpr const char* uring_features = "all,-incremental,-defer_taskrun";
};
struct UnderEagerUring : Under<Waiting::uring> {
    static constexpr const char* uring_features = "all,-defer_taskrun,-coop_taskrun";
};

}  // namespace confab::testing

TYPE_TO_STRING_AS("blocking", confab::testing::Under<confab::Waiting::blocking>);
TYPE_TO_STRING_AS("busy", confab::testing::Under<confab::Waiting::busy>);
TYPE_TO_STRING_AS("select", confab::testing::Under<confab::Waiting::select>);
TYPE_TO_STRING_AS("poll", confab::testing::Under<confab::Waiting::poll>);
TYPE_TO_STRING_AS("epoll", confab::testing::Under<confab::Waiting::epoll>);
TYPE_TO_STRING_AS("uring", confab::testing::Under<confab::Waiting::uring>);
TYPE_TO_STRING_AS("uring without features", confab::testing::UnderPlainUring);
TYPE_TO_STRING_AS("uring without buffers", confab::testing::UnderUringWithoutBuffers);
TYPE_TO_STRING_AS("uring of one shots", confab::testing::UnderUringOfOneShots);
TYPE_TO_STRING_AS("uring of whole buffers", confab::testing::UnderUringOfWholeBuffers);
TYPE_TO_STRING_AS("uring without deferring", confab::testing::UnderEagerUring);
TYPE_TO_STRING_AS("simulated", confab::testing::Under<confab::Waiting::simulated>);

#define BODY_UNDER_MECHANISMS(sentence, body, ...)                                        \
    static void body(confab::testing::World& world);                                      \
    TEST_CASE_TEMPLATE(sentence, Mechanism, __VA_ARGS__) {                                \
        confab::testing::run_under(Mechanism::waiting, Mechanism::uring_features, &body); \
    }                                                                                     \
    static void body([[maybe_unused]] confab::testing::World& world)

#define REAL_MECHANISMS                                                                                 \
    confab::testing::Under<confab::Waiting::blocking>, confab::testing::Under<confab::Waiting::busy>,   \
        confab::testing::Under<confab::Waiting::select>, confab::testing::Under<confab::Waiting::poll>, \
        confab::testing::Under<confab::Waiting::epoll>, confab::testing::Under<confab::Waiting::uring>, \
        confab::testing::UnderPlainUring, confab::testing::UnderUringWithoutBuffers,                    \
        confab::testing::UnderUringOfOneShots, confab::testing::UnderUringOfWholeBuffers,               \
        confab::testing::UnderEagerUring

#define EVERY_MECHANISM(sentence)                                                                    \
    BODY_UNDER_MECHANISMS(sentence, DOCTEST_ANONYMOUS(body_under_every_mechanism_), REAL_MECHANISMS, \
                          confab::testing::Under<confab::Waiting::simulated>)

#define EVERY_REAL_MECHANISM(sentence) \
    BODY_UNDER_MECHANISMS(sentence, DOCTEST_ANONYMOUS(body_under_every_mechanism_), REAL_MECHANISMS)
