// Internal to reactor: the kernel of a simulation - descriptors, sockets, what is on its way between them,
// and the clock.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "reactor/clock.hpp"
#include "reactor/simulated.hpp"
#include "reactor/simulated_faults.hpp"

namespace confab {

/// Who waits for sockets and for the clock: a simulated mechanism. Calls back into the sockets only to ask.
class SimulatedWatcher {
  public:
    virtual ~SimulatedWatcher() = default;
    /// The poll(2) events of `fd` may be others than before.
    virtual void readiness_changed(int fd) = 0;
    /// The time that `call_back` was given has come.
    virtual void called_back(int fd, std::uint64_t token) = 0;
    virtual bool has_in_flight(int fd) const = 0;
    /// A line for each operation in flight.
    virtual std::string in_flight() const = 0;
};

/// The calls mean what they mean on Linux for TCP, never wait, and return >= 0 or -errno. -EAGAIN: watch the
/// descriptor and try again.
class SimulatedSockets {
  public:
    /// After which a connection request that nobody answers fails with ETIMEDOUT.
    static constexpr Duration connect_patience = std::chrono::seconds(127);

    /// Both outlive this.
    SimulatedSockets(const SimulationOptions& options, SimulatedFaults& faults);
    SimulatedSockets(const SimulatedSockets&) = delete;
    SimulatedSockets& operator=(const SimulatedSockets&) = delete;
    ~SimulatedSockets();

    void attach(SimulatedWatcher& watcher) { watchers_.push_back(&watcher); }
    void detach(SimulatedWatcher& watcher);
    bool watched() const { return !watchers_.empty(); }

    Instant now() const { return now_; }
    /// When something happens on the network next; `never` when nothing is on its way.
    Instant next_event() const { return agenda_.empty() ? never : agenda_.front().when; }
    /// Moves the clock to `instant`, through everything that happens until then.
    void advance(Instant instant);
    /// Calls `watcher.called_back(fd, token)` when `delay` has passed.
    void call_back(SimulatedWatcher& watcher, int fd, std::uint64_t token, Duration delay);

    int listen(std::uint16_t port, bool shared);
    int socket();
    /// Requires: two descriptors are free.
    std::pair<int, int> connected_pair();
    int open_descriptors() const { return open_count_; }
    int free_descriptors() const { return descriptor_limit_ - open_count_; }
    void set_descriptor_limit(int limit) { descriptor_limit_ = limit; }

    bool is_open(int fd) const { return find(fd) != nullptr; }
    int port(int fd) const;
    short events(int fd) const;
    int connect(int fd, std::uint16_t port);
    /// What came of a connect: 0, -errno, or -EAGAIN while it goes on.
    int connect_result(int fd);
    int accept(int fd);
    /// The connection that an accept would bring is reset. False: there is none.
    bool abort_next(int fd);
    std::size_t readable(int fd) const;
    int receive(int fd, std::span<std::byte> target);
    int send(int fd, Bytes bytes);
    int shutdown(int fd, int how);
    int close(int fd);
    /// A connected socket fails with `error`, its peer with ECONNRESET.
    void reset(int fd, int error);

    std::string leaks() const;

  private:
    struct Socket;
    enum class Happening : std::uint8_t { arrival, reset, knock, call_back };
    struct Event {
        Instant when;
        std::uint64_t order;  // first planned, first to happen
        Happening what;
        int fd;  // call_back
        std::uint64_t
            token;       // of the watcher; or the socket's serial, which says whether it is still that one
        Socket* socket;  // all others
        SimulatedWatcher* watcher;  // call_back; null when it is gone
    };
    static bool later(const Event& one, const Event& other);

    Socket* find(int fd) const;
    Socket& make_socket(const char* origin);
    void recycle(Socket& socket);
    int open(Socket& socket);
    Socket* listener_for(std::uint16_t port);
    std::uint16_t free_port();
    void plan(Event event);
    void happen(const Event& event);
    void plan_for(Socket& socket, Happening what, Duration delay);
    void changed(const Socket& socket);
    void deliver(Socket& target, Bytes bytes, bool end);
    void knock(Socket& client);
    void connection_failed(Socket& client, int error);
    void break_connection(Socket& socket, int error);
    void send_reset(Socket& socket);
    void close_listener(Socket& socket);
    void close_stream(Socket& socket);

    const SimulationOptions& options_;
    SimulatedFaults& faults_;
    std::vector<SimulatedWatcher*> watchers_;

    Instant now_;
    std::vector<Event> agenda_;  // a heap, the next one first
    std::uint64_t events_planned_ = 0;

    std::vector<std::unique_ptr<Socket>> sockets_;
    std::vector<Socket*> unused_;
    std::vector<Socket*> listeners_;
    std::uint64_t sockets_made_ = 0;
    std::uint16_t last_port_ = 32767;

    std::vector<Socket*> descriptors_;   // null: closed
    std::vector<int> free_descriptors_;  // indices into the above, a heap, the lowest first
    int open_count_ = 0;
    int descriptor_limit_;
};

}  // namespace confab
