#include "coro/stream.hpp"

#include <sys/socket.h>

#include <cassert>

namespace confab {

namespace {

// Waits that end by themselves within the turn.
constexpr WaitKind in_line{"in line", [](Waiter&) noexcept {}};
constexpr WaitKind send_at_once{"send", [](Waiter&) noexcept {}};

}  // namespace

Stream::~Stream() { assert(fd_ < 0 && "a stream is closed before it dies: co_await stream.close()"); }

const StreamLimits Stream::unlimited;

Received Stream::Receive::ended() const {
    if (result == 0) {
        stream_.at_end_ = true;
        // The kernel tells of a reset once. When a send has heard it, this looks like a regular end.
        if (stream_.outbox_.error() == -ECONNRESET) [[unlikely]]
            return error(-ECONNRESET);
        return LentBytes();
    }
    const std::error_code reason = outcome().error();
    stream_.at_end_ = reason != std::errc::operation_canceled && reason != std::errc::timed_out;
    return std::unexpected(reason);
}

Sent Stream::shutdown_send() {
    Operation operation(Operation::Kind::shutdown, fd_, [](Operation&) noexcept {});
    operation.how = SHUT_WR;
    [[maybe_unused]] const bool over = reactor_.submit(operation);
    assert(over && "a shutdown never waits");
    if (operation.result < 0) return error(operation.result);
    return {};
}

const WaitKind Stream::QueueAwaiter::queue_kind{"send", [](Waiter& waiter) noexcept {
                                                    auto& self = static_cast<QueueAwaiter&>(waiter);
                                                    if (!self.stream_.outbox_.forget_when_idle(self))
                                                        return;  // idle already: it is in line
                                                    self.result = -ECANCELED;
                                                    self.stream_.reactor_.ready(self);
                                                }};

// After an error in the background, too: it is the outbox that knows.
Sent Stream::QueueAwaiter::failed() const {
    return result < 0 ? std::unexpected(outcome().error()) : error(stream_.outbox_.error());
}

void Stream::QueueAwaiter::wait_until_idle() noexcept {
    suspend_as_job(queue_kind);
    stream_.outbox_.when_idle(*this);
}

bool Stream::Send::await_ready() noexcept {
    const Outbox& outbox = stream_.outbox_;
    if (!stream_.reactor_.traits().lends_scratch || !outbox.empty() || outbox.error() != 0 ||
        bytes_.empty() || TaskContext::current()->stop_requested())
        return false;
    tried_ = stream_.reactor_.send_now(stream_.fd_, bytes_);
    return *tried_ == static_cast<int>(bytes_.size()) && stream_.reactor_.may_go_on();
}

bool Stream::Send::await_suspend(std::coroutine_handle<> handle) {
    rest_.reset(block_cache::make<Rest>(stream_, bytes_, where_));
    return rest_->start(handle, tried_);
}

bool Stream::Send::Rest::start(std::coroutine_handle<> handle, std::optional<int> tried) noexcept {
    if (!begin(handle)) return false;
    if (tried) return go_on_after(*tried);
    Outbox& outbox = stream_.outbox_;
    if (outbox.error() != 0 || rest().empty()) {
        result = outbox.error();
        return false;
    }
    if (!outbox.empty()) return enqueue();
    return send_with_the_turn();
}

// True: suspended.
bool Stream::Send::Rest::go_on_after(int sent) {
    result = sent;
    if (sent < 0 || static_cast<std::size_t>(sent) < rest_.iov_len) {
        parts = {.data = &rest_, .count = 1, .done = 0};
        if (sent > 0) parts.advance(static_cast<std::size_t>(sent));
        if (goes_on()) return true;
    }
    suspend_as_job(in_line);
    stream_.reactor_.ready(*this);
    return true;
}

// True: suspended.
bool Stream::Send::Rest::send_with_the_turn() {
    parts = {.data = &rest_, .count = 1, .done = 0};
    at_once = true;
    complete = &tried_with_the_turn;
    wait_kind = &send_at_once;
    return submit() || goes_on();
}

void Stream::Send::Rest::tried_with_the_turn(Operation& operation) noexcept {
    if (!static_cast<Rest&>(operation).goes_on()) completed(operation);
}

// Sees to what was not taken. True: the task has to wait, since much is queued.
bool Stream::Send::Rest::goes_on() {
    if (parts.count == 0) [[likely]]
        return false;
    if (result == -ECANCELED) {  // on its way already: it is not to be lost
        stream_.outbox_.push(SharedBytes::copy_of(rest()));
        return false;
    }
    return (result >= 0 || result == -EAGAIN) && enqueue();
}

bool Stream::Send::Rest::enqueue() {
    Outbox& outbox = stream_.outbox_;
    outbox.push(SharedBytes::copy_of(rest()));
    outbox.flush(stream_.limits_.send);
    result = outbox.error();
    if (outbox.size() <= queue_limit) return false;
    if (context_->stop_requested()) {  // since it was submitted
        result = -ECANCELED;
        return false;
    }
    wait_until_idle();
    return true;
}

bool Stream::Flush::await_suspend(std::coroutine_handle<> handle) noexcept {
    if (!begin(handle)) return false;
    result = stream_.outbox_.error();
    if (!stream_.outbox_.sending()) return false;
    wait_until_idle();
    return true;
}

Stream::Close::Close(Stream& stream, std::source_location where)
    : OperationAwaiter(Kind::close, stream.fd_, where), stream_(stream) {}

bool Stream::Close::await_suspend(std::coroutine_handle<> handle) noexcept {
    stream_.outbox_.abandon(-ECANCELED);
    stream_.fd_ = -1;
    return OperationAwaiter::await_suspend(handle);
}

}  // namespace confab
