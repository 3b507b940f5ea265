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

task<void> finish(Stream& stream) {
    const shield undisturbed;
    if (stream.outbox().sending()) {
        const Sent sent = co_await stream.flush();
        if (!sent) co_return;
    }
    if (!stream.at_end() && stream.outbox().error() == 0) co_await linger(stream);
}

}  // namespace

task<void> serve_connection(Worker& worker, int fd, const StreamLimits& limits) {
    Stream stream(TaskContext::current()->reactor(), fd, limits);
    try {
        co_await worker.serve(stream);
    } catch (const task_canceled&) {
        // The server is going down; what is owed is still sent.
    } catch (const std::exception& thrown) {
        spdlog::error("a connection's handler threw: {}", thrown.what());
    }
    const bool clean_end = stream.at_end() && !stream.outbox().sending();
    if (!clean_end) co_await finish(stream);
    co_await stream.close();
}

}  // namespace confab
