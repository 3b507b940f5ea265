// The half of UringMechanism that receives and accepts: what is armed, and what comes of it.
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <utility>

#include "reactor/accept_errors.hpp"
#include "reactor/system_calls.hpp"
#include "reactor/uring.hpp"
#include "reactor/uring_buffers.hpp"
#include "reactor/uring_ring.hpp"

namespace confab {

using system_calls::repeated;

namespace {

// What may come for a reader who does not read before his receive is stopped; the kernel's own bound on one
// round of an armed receive (32 pieces) comes on top.
constexpr std::uint32_t queued_bytes_limit = 64 * 1024;
constexpr std::uint16_t queued_pieces_limit = 16;

// Connections that may be accepted for a listener who does not ask before his accept is stopped.
constexpr std::uint16_t queued_connections_limit = 16;

// Accepts that are over at once in one turn, so that a storm of connections lets others in between.
constexpr unsigned accepts_at_once_limit = 32;

// Of a receive that found no provided buffer: enough to go on with, as long as that lasts.
constexpr std::size_t own_memory_size = 4 * 1024;

}  // namespace

// --- Receiving
// --------------------------------------------------------------------------------------------------

bool UringMechanism::submit_receive(UringDescriptor& descriptor, Operation& operation) {
    operation.bytes = {};
    // Bytes that are handed out but have not reached their receiver stay, too, until the receive after this.
    if (descriptor.handed_out == 0) give_back_lent(descriptor);
    descriptor.append(operation);
    if (descriptor.newest != nullptr) {
        lend_queued(descriptor, operation);
    } else if (descriptor.error != 0) {
        hand_out(descriptor, operation, std::exchange(descriptor.error, 0));
    } else if (descriptor.armed == UringDescriptor::Armed::nothing) {
        arm_receive(descriptor);
    }
    return false;
}

void UringMechanism::arm_receive(UringDescriptor& descriptor) {
    io_uring_sqe& entry = next_entry();
    ++descriptor.requests;
    if (buffers_ == nullptr || !(buffers_->any_left() || buffers_->grow())) {
        descriptor.armed = UringDescriptor::Armed::poll;
        io_uring_prep_poll_add(&entry, descriptor.fd, POLLIN | POLLRDHUP);
        io_uring_sqe_set_data64(&entry, name_of_armed(descriptor));
        return;
    }
    descriptor.armed = UringDescriptor::Armed::receive;
    const bool multishot = features_.has(UringFeature::multishot_receive);
    const bool capped = !multishot || features_.has(UringFeature::receive_cap);
    const std::size_t cap = capped && features_.has(UringFeature::incremental) ? receive_size_ : 0;
    if (multishot) {
        io_uring_prep_recv_multishot(&entry, descriptor.fd, nullptr, cap, 0);
    } else {
        io_uring_prep_recv(&entry, descriptor.fd, nullptr, cap, 0);
    }
    entry.flags |= IOSQE_BUFFER_SELECT;
    entry.buf_group = UringBuffers::group;
    io_uring_sqe_set_data64(&entry, name_of_armed(descriptor));
}

void UringMechanism::received(UringDescriptor& descriptor, const io_uring_cqe& completion) {
    const auto index = static_cast<std::uint16_t>(completion.flags >> IORING_CQE_BUFFER_SHIFT);
    if (completion.res <= 0) {
        if ((completion.flags & IORING_CQE_F_BUFFER) != 0) buffers_->give_back_unused(index);
        receive_ended(descriptor, completion.res);
        return;
    }
    const auto size = static_cast<std::uint32_t>(completion.res);
    Arrival& arrival = arrivals_.get();
    arrival = {
        .next = nullptr, .bytes = buffers_->take(index, size), .size = size, .buffer = index, .fd = -1};
    Operation* const waiting = descriptor.waiting();
    if (waiting != nullptr && size <= receive_size_) [[likely]] {  // then nothing is queued
        lend(descriptor, *waiting, arrival);
        return;
    }
    descriptor.queue(arrival);
    while (descriptor.newest != nullptr) {
        Operation* const next = descriptor.waiting();
        if (next == nullptr) break;
        lend_queued(descriptor, *next);
    }
    const UringDescriptor::Queued queued = descriptor.queued();
    if (queued.bytes >= queued_bytes_limit || queued.pieces >= queued_pieces_limit) stop(descriptor);
}

// What ended without bytes: the end of the stream, which the kernel will tell again, and errors, which it
// tells once. A receive that found no buffer is armed again: many find none in one turn, and the first of
// them that sees none left has their number doubled, or the rest wait in another way. One that was stopped is
// armed again by the caller.
void UringMechanism::receive_ended(UringDescriptor& descriptor, int result) {
    if (result == -ENOBUFS) {
        ++ledger().buffers_exhausted;
        if (descriptor.waiting() != nullptr && !descriptor.closing) arm_receive(descriptor);
    } else if (result == -ECANCELED || result == -EINTR || result == -EAGAIN) {
        return;
    } else if (Operation* const waiting = descriptor.waiting()) {
        hand_out(descriptor, *waiting, result);
    } else {
        descriptor.error = result;
    }
}

// `finish` makes the call.
void UringMechanism::became_readable(UringDescriptor& descriptor, int result) {
    if (result < 0) {
        receive_ended(descriptor, result);
    } else if (Operation* const waiting = descriptor.waiting()) {
        hand_out(descriptor, *waiting, -EAGAIN);
    }
}

// False: it was too early, the operation waits again.
bool UringMechanism::receive_by_call(UringDescriptor& descriptor, Operation& operation) {
    const std::size_t size = scratch_ ? receive_size_ : std::min(receive_size_, own_memory_size);
    std::unique_ptr<std::byte[]> own;
    if (!scratch_) own = std::make_unique_for_overwrite<std::byte[]>(size);
    std::byte* const target = scratch_ ? scratch_.get() : own.get();
    const auto received = repeated(ledger(), SystemCall::receive, [&] {
        return system_calls::receive(operation.fd, target, size, MSG_DONTWAIT);
    });
    if (received == -EAGAIN) {
        operation.state = Operation::State::in_flight;
        descriptor.append(operation);
        arm_again(descriptor);
        return false;
    }
    operation.result = static_cast<int>(received);
    arm_again(descriptor);
    if (received <= 0) return true;
    operation.bytes = LentBytes(target, static_cast<std::size_t>(received));
    ++ledger().receives;
    ledger().bytes_received += static_cast<std::uint64_t>(received);
    if (!scratch_) {
        Arrival& arrival = arrivals_.get();
        arrival = {.next = descriptor.lent,
                   .bytes = own.release(),
                   .size = static_cast<std::uint32_t>(received),
                   .buffer = Arrival::own_memory,
                   .fd = -1};
        descriptor.lent = &arrival;
    }
    return true;
}

// Hands `operation` the oldest bytes that are queued, no more than one receive may lend.
void UringMechanism::lend_queued(UringDescriptor& descriptor, Operation& operation) {
    Arrival& oldest = *descriptor.newest->next;
    if (oldest.size <= receive_size_) {
        lend(descriptor, operation, descriptor.unqueue());
        return;
    }
    Arrival& part = arrivals_.get();
    part = oldest;
    part.size = static_cast<std::uint32_t>(receive_size_);
    oldest.bytes += part.size;
    oldest.size -= part.size;
    buffers_->split(part.buffer);
    lend(descriptor, operation, part);
}

void UringMechanism::lend(UringDescriptor& descriptor, Operation& operation, Arrival& arrival) {
    arrival.next = descriptor.lent;
    descriptor.lent = &arrival;
    operation.bytes = LentBytes(arrival.bytes, arrival.size);
    ++ledger().receives;
    ledger().bytes_received += arrival.size;
    hand_out(descriptor, operation, static_cast<int>(arrival.size));
}

void UringMechanism::give_back(Arrival& arrival) {
    if (arrival.fd >= 0) {
        // Nobody will ever ask for this connection: its listener is closed.
        (void)system_calls::once(ledger(), SystemCall::close, [&] { return ::close(arrival.fd); });
    } else if (arrival.buffer == Arrival::own_memory) {
        delete[] arrival.bytes;
    } else {
        buffers_->give_back(arrival.buffer, arrival.bytes, arrival.size);
    }
    arrivals_.put(arrival);
}

void UringMechanism::give_back_lent(UringDescriptor& descriptor) {
    while (Arrival* const arrival = descriptor.lent) {
        descriptor.lent = arrival->next;
        give_back(*arrival);
    }
}

// --- Accepting
// --------------------------------------------------------------------------------------------------

bool UringMechanism::submit_accept(UringDescriptor& descriptor, Operation& operation) {
    if (descriptor.newest != nullptr) {
        Arrival& arrival = descriptor.unqueue();
        operation.result = arrival.fd;
        arrivals_.put(arrival);
        if (++accepts_at_once_ <= accepts_at_once_limit) return true;
        descriptor.append(operation);
        hand_out(descriptor, operation, operation.result);
        return false;
    }
    descriptor.append(operation);
    if (descriptor.armed == UringDescriptor::Armed::nothing) arm_accept(descriptor);
    return false;
}

void UringMechanism::arm_accept(UringDescriptor& descriptor) {
    io_uring_sqe& entry = next_entry();
    if (features_.has(UringFeature::multishot_accept)) {
        io_uring_prep_multishot_accept(&entry, descriptor.fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    } else {
        io_uring_prep_accept(&entry, descriptor.fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    }
    descriptor.armed = UringDescriptor::Armed::accept;
    io_uring_sqe_set_data64(&entry, name_of_armed(descriptor));
    ++descriptor.requests;
}

// An error that nobody waits for is dropped: the next accept will meet it again, or it is over.
void UringMechanism::accepted(UringDescriptor& descriptor, int result) {
    Operation* const waiting = descriptor.waiting();
    if (result >= 0) {
        if (UringDescriptor* const stale = descriptors_.find(result)) forget(*stale);
        if (waiting == nullptr) {
            Arrival& arrival = arrivals_.get();
            arrival = {.next = nullptr, .bytes = nullptr, .size = 0, .buffer = 0, .fd = result};
            descriptor.queue(arrival);
            if (descriptor.queued().pieces >= queued_connections_limit) stop(descriptor);
            return;
        }
    } else if (result == -ECANCELED || result == -EINTR || result == -EAGAIN ||
               is_error_of_one_connection(-result)) {
        const bool canceled = waiting != nullptr && waiting->cancel_requested;
        if (canceled) hand_out(descriptor, *waiting, -ECANCELED);
        return;
    }
    if (waiting != nullptr) hand_out(descriptor, *waiting, result);
}

// --- What is armed, and what came when nobody waited
// ------------------------------------------------------------

void UringMechanism::armed_completed(UringDescriptor& descriptor, const io_uring_cqe& completion) {
    const UringDescriptor::Armed what = descriptor.armed;
    if ((completion.flags & IORING_CQE_F_MORE) == 0) {
        descriptor.armed = UringDescriptor::Armed::nothing;
        descriptor.stopping = descriptor.tried_harder = false;
        --descriptor.requests;
    }
    switch (what) {
        case UringDescriptor::Armed::receive:
            received(descriptor, completion);
            break;
        case UringDescriptor::Armed::poll:
            became_readable(descriptor, completion.res);
            break;
        case UringDescriptor::Armed::accept:
            accepted(descriptor, completion.res);
            break;
        case UringDescriptor::Armed::nothing:
            assert(false && "nothing was armed");
    }
    // A poll is armed again when the call it led to has been made.
    if (what != UringDescriptor::Armed::poll || completion.res < 0) arm_again(descriptor);
    settle(descriptor);
}

void UringMechanism::arm_again(UringDescriptor& descriptor) {
    if (descriptor.armed != UringDescriptor::Armed::nothing) return;
    const Operation* const waiting = descriptor.waiting();
    if (waiting == nullptr) return;
    if (waiting->kind == Operation::Kind::accept) {
        arm_accept(descriptor);
    } else {
        arm_receive(descriptor);
    }
}

// Armed for a file that was closed behind our back, and over only now.
void UringMechanism::drop_left_over(Tag tag, const io_uring_cqe& completion) {
    if ((completion.flags & IORING_CQE_F_BUFFER) != 0) {
        const auto index = static_cast<std::uint16_t>(completion.flags >> IORING_CQE_BUFFER_SHIFT);
        const auto size = static_cast<std::uint32_t>(std::max(completion.res, 0));
        if (size == 0) return buffers_->give_back_unused(index);
        buffers_->give_back(index, buffers_->take(index, size), size);
    } else if (tag == Tag::accept && completion.res >= 0) {
        (void)system_calls::once(ledger(), SystemCall::close, [&] { return ::close(completion.res); });
    }
}

}  // namespace confab
