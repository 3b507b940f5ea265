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

// Something is with the kernel that was told to end.
bool should_end(const UringDescriptor& descriptor) {
    if (descriptor.stopping) return true;
    for (const Job* job = descriptor.with_kernel; job != nullptr; job = job->next) {
        if (descriptor.closing != nullptr || static_cast<const Operation*>(job)->cancel_requested)
            return true;
    }
    return false;
}

}  // namespace

bool UringMechanism::submit_close(Operation& operation) {
    UringDescriptor& descriptor = descriptors_.get(operation.fd);
    if (descriptor.closing != nullptr) {
        operation.result = -ECANCELED;
        return true;
    }
    descriptor.closing = &operation;
    while (descriptor.waiting != nullptr) hand_out(descriptor, next_waiting(descriptor), -ECANCELED);
    for (const Job* job = descriptor.with_kernel; job != nullptr; job = job->next) {
        cancel_entry(descriptor, Tag::operation, static_cast<const Operation*>(job));
    }
    stop(descriptor);
    settle(descriptor);
    return false;
}

void UringMechanism::close_now(UringDescriptor& descriptor) {
    Operation& operation = *descriptor.closing;
    discard(descriptor);
    descriptors_.put(descriptor);
    io_uring_sqe& entry = next_entry();
    io_uring_prep_close(&entry, operation.fd);
    label(entry, Tag::operation, &operation);
}

// Does what was put off until nothing of `descriptor` is with the kernel or on its way to its owner. The
// descriptor may be gone afterwards.
void UringMechanism::settle(UringDescriptor& descriptor) {
    if (descriptor.requests != 0 || descriptor.handed_out != 0) return;
    if (descriptor.closing != nullptr) {
        close_now(descriptor);
    } else if (!descriptor.lasting && descriptor.waiting == nullptr) {
        discard(descriptor);
        descriptors_.put(descriptor);
    }
}

// The number has become another file's: who closed the old one did it behind our back. What is still armed on
// it ends in its own time.
void UringMechanism::forget(UringDescriptor& descriptor) {
    if (descriptor.waiting != nullptr || descriptor.with_kernel != nullptr || descriptor.handed_out != 0)
        return;
    descriptors_.detach(descriptor);
    descriptor.lasting = false;
    stop(descriptor);
    settle(descriptor);
}

void UringMechanism::discard(UringDescriptor& descriptor) {
    give_back_lent(descriptor);
    while (descriptor.first != nullptr) give_back(unqueue(descriptor));
}

void UringMechanism::stop(UringDescriptor& descriptor) {
    if (descriptor.armed == UringDescriptor::Armed::nothing || descriptor.stopping) return;
    descriptor.stopping = true;
    cancel_entry(descriptor, Tag::armed, &descriptor);
}

void UringMechanism::cancel_entry(UringDescriptor& descriptor, Tag tag, const void* object) {
    io_uring_sqe& entry = next_entry();
    const auto target = reinterpret_cast<std::uintptr_t>(object) | static_cast<std::uintptr_t>(tag);
    io_uring_prep_cancel64(&entry, target, 0);
    label(entry, Tag::cancel, &descriptor);
    ++descriptor.requests;
}

// A cancel that finds nothing though something is in flight (liburing 1375): all that is in flight on the
// descriptor is cancelled, what was not meant goes on; and a descriptor that is being closed is shut down,
// which ends whatever waits on it.
void UringMechanism::cancel_answered(UringDescriptor& descriptor, int result) {
    --descriptor.requests;
    if (result == -ENOENT && should_end(descriptor)) {
        const bool number_is_ours = descriptors_.find(descriptor.fd) == &descriptor;
        if (number_is_ours && !descriptor.tried_harder && features_.has(UringFeature::cancel_by_fd)) {
            descriptor.tried_harder = true;
            io_uring_sqe& entry = next_entry();
            io_uring_prep_cancel_fd(&entry, descriptor.fd, IORING_ASYNC_CANCEL_ALL);
            label(entry, Tag::cancel, &descriptor);
            ++descriptor.requests;
        } else if (descriptor.closing != nullptr) {
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
    label(entry, Tag::cancel, nullptr);
    const Instant limit = after(Clock::now(), longest_drain);
    while (with_kernel_ > 0 && Clock::now() < limit) {
        ring_->submit_and_wait(limit);
        ring_->take_completions([this](const io_uring_cqe& completion) { completed(completion); });
    }
} catch (const std::system_error&) {
    // The ring is unusable, and closing it is all that is left to do.
}

}  // namespace confab
