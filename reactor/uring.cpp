#include "reactor/uring.hpp"

#include <fcntl.h>
#include <poll.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <utility>

#include "reactor/system_calls.hpp"
#include "reactor/uring_buffers.hpp"
#include "reactor/uring_probe.hpp"
#include "reactor/uring_ring.hpp"
#include "reactor/wake_descriptor.hpp"

namespace confab {

using system_calls::once;
using system_calls::repeated;

namespace {

// Sends gathered before the kernel is entered for them: in larger slices the bytes of many leave the cache
// before their receivers get to them (measured; docs/architecture.md).
constexpr unsigned send_slice = 32;

// What one send entry is asked to take at most: the kernel's own bound on a call (write(2), "Notes").
constexpr std::size_t largest_send = 0x7ffff000;

// An entry's name: an operation's address, which is aligned to 8 bytes, or a descriptor's number and
// generation; and the tag in the lowest bits.
constexpr std::uint64_t tag_mask = 7;
constexpr unsigned generation_shift = 3;
constexpr unsigned number_shift = 32;

}  // namespace

std::expected<std::unique_ptr<UringMechanism>, std::string> UringMechanism::make(Ledger& ledger,
                                                                                 const Options& options) {
    auto ring = UringRing::open(ledger, options.allowed);
    if (!ring) return std::unexpected(ring.error());
    Parts parts{.ring = std::move(*ring), .buffers = nullptr, .features = {}};
    parts.features = parts.ring->features();
    parts.buffers = UringBuffers::make(*parts.ring, options.allowed);
    if (parts.buffers) {
        parts.features.add(UringFeature::buffer_ring);
        if (parts.buffers->incremental()) parts.features.add(UringFeature::incremental);
        parts.features.add(probe_receive(*parts.ring, *parts.buffers, options.allowed));
    }
    return std::unique_ptr<UringMechanism>(
        new UringMechanism(ledger, options.receive_size, std::move(parts)));
}

UringMechanism::UringMechanism(Ledger& ledger, std::size_t receive_size, Parts parts)
    : Mechanism(ledger, {.lends_scratch = parts.buffers == nullptr}),
      ring_(std::move(parts.ring)),
      buffers_(std::move(parts.buffers)),
      features_(parts.features),
      receive_size_(receive_size),
      scratch_(buffers_ ? nullptr : make_receive_memory(receive_size)),
      wake_(make_wake_descriptor()) {
    arm_wake();
}

UringMechanism::~UringMechanism() {
    drain();
    descriptors_.for_each([this](UringDescriptor& descriptor) { discard(descriptor); });
}

std::string UringMechanism::description() const {
    const std::string names = features_.names();
    return names.empty() ? "io_uring" : "io_uring (" + names + ")";
}

bool UringMechanism::submit(Operation& operation) {
    if (!is_descriptor(operation.fd)) {
        operation.result = -EBADF;
        return true;
    }
    operation.result = 0;
    operation.state = Operation::State::in_flight;
    if (operation.is_last()) return submit_close(operation);
    if (operation.kind == Operation::Kind::connect) return submit_connect(operation);
    UringDescriptor& descriptor = descriptors_.get(operation.fd);
    if (descriptor.closing) {
        operation.result = -ECANCELED;
        return true;
    }
    switch (operation.kind) {
        case Operation::Kind::poll:
            start(descriptor, operation);
            return false;
        case Operation::Kind::receive:
            return submit_receive(descriptor, operation);
        case Operation::Kind::accept:
            return submit_accept(descriptor, operation);
        case Operation::Kind::send:
            return submit_send(descriptor, operation);
        case Operation::Kind::shutdown:
            ring_->submit();  // what was sent before goes out before
            operation.result = repeated(ledger(), SystemCall::shutdown,
                                        [&] { return ::shutdown(operation.fd, operation.how); });
            return true;
        default:
            assert(false && "the reactor keeps the time itself");
            return true;
    }
}

// Only a number that the table has no room for is looked at closely: a wrong one must not make it grow.
bool UringMechanism::is_descriptor(int fd) {
    if (fd < 0) return false;
    return descriptors_.has_room_for(fd) ||
           once(ledger(), SystemCall::control, [&] { return ::fcntl(fd, F_GETFD); }) >= 0;
}

void UringMechanism::cancel(Operation& operation) {
    UringDescriptor* const descriptor = descriptors_.find(operation.fd);
    if (operation.is_last() || descriptor == nullptr) return;  // it always ends
    const bool accepts = descriptor->armed == UringDescriptor::Armed::accept;
    if (accepts && !features_.has(UringFeature::multishot_accept)) {
        stop(*descriptor);  // it may have a connection already, which nobody else would come for
    } else if (UringDescriptor::waits_for_arrivals(operation)) {
        hand_out(*descriptor, operation, -ECANCELED);
    } else {
        cancel_entry(*descriptor, name_of(operation));
    }
}

void UringMechanism::wait(Instant deadline, bool /*posts_expected*/) {
    // What a job of the last turn released is told of in this one.
    released_before_ = std::exchange(released_, {});
    accepts_at_once_ = 0;
    if (buffers_) buffers_->publish();
    ring_->submit_and_wait(due_.empty() ? deadline : Instant::min());
}

void UringMechanism::collect(JobQueue& ready) {
    ring_->take_completions([this](const io_uring_cqe& completion) { completed(completion); });
    ready.append(due_);
}

bool UringMechanism::finish(Operation& operation) {
    UringDescriptor* const descriptor = descriptors_.find(operation.fd);
    if (operation.is_last() || descriptor == nullptr) return true;
    --descriptor->handed_out;
    if (operation.kind == Operation::Kind::receive) {
        if (descriptor->closing) {
            operation.result = -ECANCELED;
        } else if (operation.result == -EAGAIN && !receive_by_call(*descriptor, operation)) {
            return false;
        }
    }
    settle(*descriptor);
    return true;
}

int UringMechanism::send_now(int fd, Bytes bytes) {
    const auto sent = repeated(ledger(), SystemCall::send, [&] {
        return system_calls::send(fd, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    });
    if (sent > 0) ledger().bytes_sent += static_cast<std::uint64_t>(sent);
    return static_cast<int>(sent);
}

void UringMechanism::wake() noexcept { write_wake_descriptor(wake_); }

// --- Entries
// ----------------------------------------------------------------------------------------------------

io_uring_sqe& UringMechanism::next_entry() {
    ++with_kernel_;
    return ring_->next_entry();
}

std::uint64_t UringMechanism::name_of(const Operation& operation) {
    static_assert(alignof(Operation) > tag_mask && static_cast<std::uint64_t>(Tag::operation) == 0);
    return reinterpret_cast<std::uintptr_t>(&operation);
}

std::uint64_t UringMechanism::name_of(const UringDescriptor& descriptor, Tag tag) {
    return static_cast<std::uint64_t>(descriptor.fd) << number_shift |
           std::uint64_t{descriptor.generation} << generation_shift | static_cast<std::uint64_t>(tag);
}

std::uint64_t UringMechanism::name_of_armed(const UringDescriptor& descriptor) {
    const bool accepts = descriptor.armed == UringDescriptor::Armed::accept;
    return name_of(descriptor, accepts ? Tag::accept : Tag::receive);
}

// nullptr: it was named for a file that has gone since.
UringDescriptor* UringMechanism::descriptor_of(std::uint64_t name) const {
    UringDescriptor* const descriptor = descriptors_.find(static_cast<int>(name >> number_shift));
    const auto generation = static_cast<std::uint16_t>(name >> generation_shift);
    return descriptor != nullptr && descriptor->generation == generation ? descriptor : nullptr;
}

// A poll that stays armed tells of each write to the descriptor (the write wakes it up, whatever was in it
// before): so it need never be read, and waking costs this side nothing but the completion.
void UringMechanism::arm_wake() {
    io_uring_sqe& entry = next_entry();
    io_uring_prep_poll_multishot(&entry, wake_.get(), POLLIN);
    io_uring_sqe_set_data64(&entry, static_cast<std::uint64_t>(Tag::wake));
}

void UringMechanism::completed(const io_uring_cqe& completion) {
    const bool last = (completion.flags & IORING_CQE_F_MORE) == 0;
    if (last) --with_kernel_;
    const auto tag = static_cast<Tag>(completion.user_data & tag_mask);
    switch (tag) {
        case Tag::operation:
            operation_ended(*reinterpret_cast<Operation*>(completion.user_data), completion.res);
            break;
        case Tag::receive:
        case Tag::accept:
            if (UringDescriptor* const descriptor = descriptor_of(completion.user_data)) [[likely]] {
                armed_completed(*descriptor, completion);
            } else {
                drop_left_over(tag, completion);
            }
            break;
        case Tag::cancel:
            if (UringDescriptor* const descriptor = descriptor_of(completion.user_data)) {
                cancel_answered(*descriptor, completion.res);
            }
            break;
        case Tag::wake:
            if (last && !ending_) arm_wake();
            break;
    }
}

// Takes `operation` from those in flight on `descriptor`.
void UringMechanism::hand_out(UringDescriptor& descriptor, Operation& operation, int result) {
    descriptor.take_out(operation);
    operation.result = result;
    ++descriptor.handed_out;
    hand_over(operation, due_);
}

// --- Operations that name themselves to the kernel
// --------------------------------------------------------------

bool UringMechanism::submit_send(UringDescriptor& descriptor, Operation& operation) {
    if (operation.parts.count == 0) {
        operation.result = static_cast<int>(operation.parts.done);
        return true;
    }
    start(descriptor, operation);
    if (ring_->unsubmitted() >= send_slice) ring_->submit();
    return false;
}

// A Unix socket is connected or refused at once, and with a listener whose queue is full the ring would wait.
bool UringMechanism::submit_connect(Operation& operation) {
    if (UringDescriptor* const stale = descriptors_.find(operation.fd)) forget(*stale);
    if (operation.address.data->sa_family == AF_UNIX) {
        operation.result = once(ledger(), SystemCall::connect, [&] {
            return ::connect(operation.fd, operation.address.data, operation.address.size);
        });
        return true;
    }
    UringDescriptor& descriptor = descriptors_.get(operation.fd);
    start(descriptor, operation);
    return false;
}

void UringMechanism::start(UringDescriptor& descriptor, Operation& operation) {
    descriptor.append(operation);
    prepare(descriptor, operation);
}

void UringMechanism::prepare(UringDescriptor& descriptor, Operation& operation) {
    io_uring_sqe& entry = next_entry();
    if (operation.kind == Operation::Kind::send) {
        prepare_send(entry, operation);
    } else if (operation.kind == Operation::Kind::connect) {
        io_uring_prep_connect(&entry, operation.fd, operation.address.data, operation.address.size);
    } else {
        io_uring_prep_poll_add(&entry, operation.fd, static_cast<unsigned short>(operation.events));
    }
    io_uring_sqe_set_data64(&entry, name_of(operation));
    ++descriptor.requests;
}

// Not with WAITALL: the kernel would go on by itself after a short send, but an error that then comes is lost
// behind the count of what has gone, and the next send says EPIPE for what was a reset.
void UringMechanism::prepare_send(io_uring_sqe& entry, Operation& operation) {
    const Operation::Parts& parts = operation.parts;
    const int flags = MSG_NOSIGNAL | (operation.at_once ? MSG_DONTWAIT : 0);
    if (parts.count == 1) {  // cheaper in the kernel than a message header
        const std::size_t size = std::min(parts.data->iov_len, largest_send);
        io_uring_prep_send(&entry, operation.fd, parts.data->iov_base, size, flags);
        return;
    }
    msghdr& message = ring_->message_of(entry);
    message = {};
    message.msg_iov = parts.data;
    message.msg_iovlen = parts.count;
    io_uring_prep_sendmsg(&entry, operation.fd, &message, static_cast<unsigned>(flags));
}

void UringMechanism::operation_ended(Operation& operation, int result) {
    UringDescriptor* const descriptor = descriptors_.find(operation.fd);
    if (operation.kind == Operation::Kind::close) {
        operation.result = result == -EINTR ? 0 : result;  // close(2): on Linux the descriptor is gone
        hand_over(operation, due_);
        return;
    }
    assert(descriptor != nullptr && "a descriptor is known as long as an operation on it is in flight");
    --descriptor->requests;
    // The kernel tells of a reset once, and here an armed receive may have been the one that it told.
    if (result == -EPIPE && descriptor->error == -ECONNRESET) result = descriptor->error;
    const bool asked_to_end = operation.cancel_requested || descriptor->closing;
    if (!is_over(operation, result, asked_to_end)) {
        prepare(*descriptor, operation);
        return;
    }
    hand_out(*descriptor, operation, operation.result);
}

// True: over, `operation.result` is set. False: to be submitted again, for the rest, or because it was not
// meant (a cancel for all of a descriptor hits everything that is in flight on it).
bool UringMechanism::is_over(Operation& operation, int result, bool asked_to_end) {
    operation.result = result;
    if (operation.kind == Operation::Kind::connect) return true;
    if (result == -EAGAIN && operation.at_once) {
        operation.result = operation.parts.taken();
        return true;
    }
    if (result < 0) return asked_to_end || (result != -ECANCELED && result != -EINTR && result != -EAGAIN);
    if (operation.kind == Operation::Kind::poll) return true;
    ledger().bytes_sent += static_cast<std::uint64_t>(result);
    operation.parts.advance(static_cast<std::size_t>(result));
    if (operation.parts.count > 0 && !operation.at_once) {
        operation.result = -ECANCELED;
        return asked_to_end;
    }
    operation.result = static_cast<int>(operation.parts.done);
    return true;
}

}  // namespace confab
