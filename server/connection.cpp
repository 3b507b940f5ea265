#include "server/connection.hpp"

#include <spdlog/spdlog.h>

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

}  // namespace

void Connection::start(scope& owner, const Place& place, int fd) {
    owner.adopt(*block_cache::make<Connection>(owner, place, fd));
}

Connection::Connection(scope& owner, const Place& place, int fd)
    : ScopedTask(owner.reactor(), owner, "connection", std::source_location::current()),
      place_(place),
      stream_(owner.reactor(), fd, place.limits),
      body_(place.worker.serve(stream_)) {}

void Connection::settle(bool started) noexcept {
    if (started) log_failure();
    if (state_ == State::running) {
        state_ = State::returned;
        body_ = farewell(stream_);
        resume(body());
        return;
    }
    if (place_.slots != nullptr) place_.slots->give_back();
    leave(nullptr);
    block_cache::destroy(this);
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
