// The half of UringMechanism that ends things: cancelling, and the close that is a join.
//
// A descriptor is closed in four steps: what waits on it is handed out as cancelled; what the kernel has is
// cancelled; the last completion of each comes, and each that was handed out is finished; the descriptor is
// closed. Only then may its number, and its object here, mean anything else.
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <system_error>

#include "reactor/system_calls.hpp"
#include "reactor/uring.hpp"
#include "reactor/uring_buffers.hpp"
#include "reactor/uring_ring.hpp"

namespace confab {

namespace {

// How long the kernel may take to give up what it was told to give up, when a ring ends.
constexpr std::chrono::seconds longest_drain{5};

// Stands for a descriptor in the name of an entry whose answer concerns none: no table has room for it.
constexpr std::uint64_t nobody = ~std::uint64_t{0} << 32;

// Something is with the kernel that was told to end.
bool should_end(const UringDescriptor& descriptor) {
    if (descriptor.stopping) return true;
    for (const Job* job = descriptor.in_flight; job != nullptr; job = job->next) {
        const auto& operation = static_cast<const Operation&>(*job);
        if (!UringDescriptor::is_with_kernel(operation)) continue;
        if (descriptor.closing || operation.cancel_requested) return true;
    }
    return false;
}

bool is_being_released(const UringDescriptor& descriptor) {
    const Job* last = descriptor.in_flight;
    while (last != nullptr && last->next != nullptr) last = last->next;
    return last != nullptr && static_cast<const Operation*>(last)->kind == Operation::Kind::release;
}

}  // namespace

bool UringMechanism::submit_close(Operation& operation) {
    UringDescriptor& descriptor = descriptors_.get(operation.fd);
    if (descriptor.closing) {
        operation.result = -ECANCELED;
        return true;
    }
    descriptor.closing = true;
    while (Operation* const waiting = descriptor.waiting()) hand_out(descriptor, *waiting, -ECANCELED);
    for (const Job* job = descriptor.in_flight; job != nullptr; job = job->next) {
        cancel_entry(descriptor, name_of(static_cast<const Operation&>(*job)));
    }
    descriptor.append(operation);
    stop(descriptor);
    settle(descriptor);
    return false;
}

void UringMechanism::close_now(UringDescriptor& descriptor) {
    auto& operation = static_cast<Operation&>(*descriptor.in_flight);
    if (operation.kind == Operation::Kind::release) return release_now(descriptor, operation);
    io_uring_sqe& entry = next_entry();
    io_uring_prep_close(&entry, operation.fd);
    io_uring_sqe_set_data64(&entry, name_of(operation));
    discard(descriptor);
    descriptor = {.fd = descriptor.fd, .generation = descriptor.generation};
}

void UringMechanism::release_now(UringDescriptor& descriptor, Operation& operation) {
    std::vector<std::byte>& bytes = released_.emplace_back();
    while (descriptor.newest != nullptr) {
        Arrival& arrival = descriptor.unqueue();
        bytes.insert(bytes.end(), arrival.bytes, arrival.bytes + arrival.size);
        give_back(arrival);
    }
    operation.bytes = bytes;
    operation.result = descriptor.error;
    discard(descriptor);
    descriptor = {.fd = descriptor.fd, .generation = descriptor.generation};
    hand_over(operation, due_);
}

// Closes a descriptor that is to be closed once nothing of it is with the kernel or on its way to its owner.
void UringMechanism::settle(UringDescriptor& descriptor) {
    if (descriptor.closing && descriptor.requests == 0 && descriptor.handed_out == 0) close_now(descriptor);
}

// The number has become another file's: who closed the old one did it behind our back. What is still armed on
// it ends in its own time, under a generation that nobody has any more.
void UringMechanism::forget(UringDescriptor& descriptor) {
    if (descriptor.in_flight != nullptr || descriptor.handed_out != 0) return;
    stop(descriptor);
    discard(descriptor);
    const auto next_generation = static_cast<std::uint16_t>(descriptor.generation + 1);
    descriptor = {.fd = descriptor.fd, .generation = next_generation};
}

void UringMechanism::discard(UringDescriptor& descriptor) {
    give_back_lent(descriptor);
    while (descriptor.newest != nullptr) give_back(descriptor.unqueue());
}

void UringMechanism::stop(UringDescriptor& descriptor) {
    if (descriptor.armed == UringDescriptor::Armed::nothing || descriptor.stopping) return;
    descriptor.stopping = true;
    cancel_entry(descriptor, name_of_armed(descriptor));
}

void UringMechanism::cancel_entry(UringDescriptor& descriptor, std::uint64_t name) {
    io_uring_sqe& entry = next_entry();
    io_uring_prep_cancel64(&entry, name, 0);
    io_uring_sqe_set_data64(&entry, name_of(descriptor, Tag::cancel));
    ++descriptor.requests;
}

// A cancel that finds nothing though something is in flight (liburing 1375): all that is in flight on the
// descriptor is cancelled, what was not meant goes on; and a descriptor that is being closed is shut down,
// which ends whatever waits on it. One that is to live on is asked again: what was not found is about to end.
void UringMechanism::cancel_answered(UringDescriptor& descriptor, int result) {
    --descriptor.requests;
    if (result == -ENOENT && should_end(descriptor)) {
        if (!descriptor.tried_harder && features_.has(UringFeature::cancel_by_fd)) {
            descriptor.tried_harder = true;
            io_uring_sqe& entry = next_entry();
            io_uring_prep_cancel_fd(&entry, descriptor.fd, IORING_ASYNC_CANCEL_ALL);
            io_uring_sqe_set_data64(&entry, name_of(descriptor, Tag::cancel));
            ++descriptor.requests;
        } else if (is_being_released(descriptor)) {
            descriptor.stopping = descriptor.tried_harder = false;
            stop(descriptor);
        } else if (descriptor.closing) {
            (void)system_calls::once(ledger(), SystemCall::shutdown,
                                     [&] { return ::shutdown(descriptor.fd, SHUT_RDWR); });
        } else {
            descriptor.stopping = false;  // more arrivals will try again
        }
    }
    settle(descriptor);
}

// Nothing may be with the kernel when the memory that it names goes: what is armed is cancelled and waited
// for.
void UringMechanism::drain() try {
    ending_ = true;
    descriptors_.for_each([this](UringDescriptor& descriptor) { stop(descriptor); });
    io_uring_sqe& entry = next_entry();
    io_uring_prep_cancel64(&entry, static_cast<std::uintptr_t>(Tag::wake), 0);
    io_uring_sqe_set_data64(&entry, nobody | static_cast<std::uint64_t>(Tag::cancel));
    const Instant limit = after(Clock::now(), longest_drain);
    while (with_kernel_ > 0 && Clock::now() < limit) {
        ring_->submit_and_wait(limit);
        ring_->take_completions([this](const io_uring_cqe& completion) { completed(completion); });
    }
} catch (const std::system_error&) {
    // The ring is unusable, and closing it is all that is left to do.
}

}  // namespace confab
