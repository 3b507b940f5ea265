#include "server/connection.hpp"

#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

namespace confab {

namespace {

// How long a peer that was told goodbye may take to say it, too. See `linger`.
constexpr Duration linger_limit = std::chrono::seconds(1);

// A socket that is closed with unread bytes in it resets the connection, and a reset can overtake what was
// sent just before (RFC 1122 4.2.2.13). So: end our direction, and read on until the peer has ended too, or
// time is up.
task<void> linger(Stream& stream) {
    if (!stream.shutdown_send()) co_return;
    const Instant end = after(stream.reactor().now(), linger_limit);
    while (stream.reactor().now() < end) {
        const Received bytes = co_await stream.receive(end - stream.reactor().now());
        if (!bytes || bytes->empty()) co_return;
    }
}

task<void> send_rest(Stream& stream) {
    if (stream.outbox().sending()) {
        const Sent sent = co_await stream.flush();
        if (!sent) co_return;
    }
    if (!stream.at_end() && stream.outbox().error() == 0) co_await linger(stream);
}

task<void> farewell(Stream& stream) {
    const shield undisturbed;
    const bool nothing_left = stream.at_end() && !stream.outbox().sending();
    if (!nothing_left) co_await send_rest(stream);
    co_await stream.close();
}

// A connection whose peer has ended it. The real one was lost on the way; but what its handler has written
// out still has to come to its end, where it is read back: a member is to leave, and his name to be free
// again.
Fd make_ended_connection() {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) != 0) {
        throw std::system_error(errno, std::generic_category(), "socketpair");
    }
    const Fd peer(ends[1]);
    return Fd(ends[0]);
}

// Takes the connection apart. What is owed is kept in order: what the kernel has not taken by now travels.
task<void> depart(Stream& stream, Traveller traveller, const std::function<void(Traveller)>& departed) {
    const shield undisturbed;
    traveller.at_end = stream.at_end();
    stream.outbox().pause();
    const Sent paused = co_await stream.flush();
    if (!paused) {
        co_await stream.close();
    } else {
        traveller.unsent = stream.outbox().withdraw();
        auto released = co_await stream.release();
        if (!released.error) traveller.connection = std::move(released.descriptor);
        traveller.received = as_text(released.received);
    }
    if (!traveller.connection) {
        traveller.connection = make_ended_connection();
        traveller.at_end = true;
    }
    departed(std::move(traveller));
}

}  // namespace

void Connection::start(scope& owner, const Place& place, int fd) {
    owner.adopt(*block_cache::make<Connection>(owner, place, fd));
}

void Connection::arrive(scope& owner, const Place& place, Traveller traveller) {
    owner.adopt(*block_cache::make<Connection>(owner, place, traveller));
}

Connection::Connection(scope& owner, const Place& place, Traveller& traveller)
    : ScopedTask(owner.reactor(), owner, "connection", std::source_location::current()),
      place_(place),
      stream_(owner.reactor(), traveller.connection.release(), place.limits),
      has_travelled_(traveller.begun) {
    stream_.outbox().push(SharedBytes::copy_of(as_bytes(traveller.unsent)));
    body_ =
        traveller.begun ? place.worker.resume(stream_, std::move(traveller)) : place.worker.serve(stream_);
}

Connection::Connection(scope& owner, const Place& place, int fd)
    : ScopedTask(owner.reactor(), owner, "connection", std::source_location::current()),
      place_(place),
      stream_(owner.reactor(), fd, place.limits),
      body_(place.worker.serve(stream_)) {}

void Connection::settle(bool started) noexcept {
    // What a connection has brought along is for its handler to see to, even if it is to go on at once.
    if (!started && has_travelled_) return resume(body());
    if (started) log_failure();
    if (state_ == State::running) {
        if (task<void> next = place_.worker.take_next()) {
            body_ = std::move(next);
            return resume(body());
        }
        state_ = State::returned;
        auto traveller = departing(started);
        body_ = traveller ? depart(stream_, std::move(*traveller), place_.departed) : farewell(stream_);
        resume(body());
        return;
    }
    if (place_.slots != nullptr) place_.slots->give_back();
    leave(nullptr);
    block_cache::destroy(this);
}

// What becomes of it if it is to go on elsewhere. One that was asked to before it had begun begins there.
std::optional<Traveller> Connection::departing(bool started) {
    if (!place_.departed) return std::nullopt;
    if (!started && stop_reason() == StopReason::moved) return Traveller{.begun = false};
    auto state = place_.worker.take_given_away(stream_);
    if (!state) return std::nullopt;
    return Traveller{.state = std::move(*state)};
}

void Connection::log_failure() noexcept {
    try {
        body_.handle().promise().take();
    } catch (const task_canceled&) {
        // The server is going down.
    } catch (const std::exception& thrown) {
        spdlog::error("a connection's handler threw: {}", thrown.what());
    } catch (...) {
        spdlog::error("a connection's handler threw");
    }
}

}  // namespace confab
