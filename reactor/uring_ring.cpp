#include "reactor/uring_ring.hpp"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <fstream>
#include <system_error>

#include "reactor/uring_constants.hpp"

namespace confab {

namespace {

// Entries gathered between two system calls: more than this does not make the call's share of the cost
// smaller.
constexpr unsigned submission_entries = 256;
// A turn's entries may each complete several times over, and what does not fit costs the kernel an
// allocation.
constexpr unsigned completion_entries = 16 * submission_entries;

// All of it is in Linux 5.13. Above: waiting with a time limit, completions that are never dropped, arguments
// that may be gone after submission, sockets that are polled instead of blocking a thread, multishot poll.
constexpr unsigned required = IORING_FEAT_EXT_ARG | IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE |
                              IORING_FEAT_FAST_POLL | IORING_FEAT_RSRC_TAGS;

// Any wait for memory of the kernel's ends after this long, to try again.
constexpr __kernel_timespec short_while{.tv_sec = 0, .tv_nsec = 1'000'000};

std::string why_not_permitted() {
    int disabled = 0;
    std::ifstream("/proc/sys/kernel/io_uring_disabled") >> disabled;
    if (disabled == 0) {
        return "a seccomp filter or another security policy forbids it, as containers' do by default (EPERM)";
    }
    return "kernel.io_uring_disabled is " + std::to_string(disabled) + " (EPERM)";
}

std::string why_refused(int error) {
    switch (error) {
        case EPERM:
            return why_not_permitted();
        case ENOSYS:
            return "this kernel has none, or a seccomp filter hides it (ENOSYS)";
        case ENOMEM:
            return "no memory for its queues: ulimit -l or the memory limit is too low (ENOMEM)";
        case EINVAL:
            return "this kernel is older than 5.13";
        default:
            return std::generic_category().message(error);
    }
}

// The kernel may map a new ring where another thread's was. That orders the two, but only the kernel knows:
// this tells whoever reasons about the program's memory, such as a thread sanitizer.
std::atomic<unsigned> rings_closed{0};

}  // namespace

std::expected<std::unique_ptr<UringRing>, std::string> UringRing::open(Ledger& ledger,
                                                                       UringFeatures allowed) {
    std::unique_ptr<UringRing> ring(new UringRing(ledger));
    int error = ring->set_up(allowed);
    if (error == 0 && (ring->ring_.features & required) != required) error = -EINVAL;
    if (error != 0) return std::unexpected(why_refused(-error));
    (void)rings_closed.load(std::memory_order_acquire);
    ring->make_the_most_of_it(allowed);
    return ring;
}

// From the best to the plainest way of running completions. A kernel that does not know a flag says EINVAL;
// any other error would be the same without it.
int UringRing::set_up(UringFeatures allowed) {
    struct Way {
        UringFeature feature;
        unsigned flags;
    };
    // TASKRUN_FLAG: a look at the queue tells whether there is anything to fetch.
    constexpr unsigned cooperative = IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL;
    constexpr Way ways[] = {
        {UringFeature::defer_taskrun, IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SINGLE_ISSUER | cooperative},
        {UringFeature::coop_taskrun, IORING_SETUP_COOP_TASKRUN | cooperative},
    };
    const auto attempt = [this](unsigned flags) {
        io_uring_params params{};
        params.flags = flags | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
        params.cq_entries = completion_entries;
        const int error = io_uring_queue_init_params(submission_entries, &ring_, &params);
        open_ = error == 0;
        return error;
    };
    for (const Way& way : ways) {
        if (!allowed.has(way.feature)) continue;
        const int error = attempt(way.flags);
        if (error == 0) features_.add(way.feature);
        if (error != -EINVAL) return error;
    }
    return attempt(0);
}

void UringRing::make_the_most_of_it(UringFeatures allowed) {
    // An entry's place in the ring is its place in the queue, always: said once.
    if ((ring_.flags & uring_constants::setup_no_sqarray) == 0) {
        for (unsigned i = 0; i < ring_.sq.ring_entries; ++i) ring_.sq.array[i] = i;
    }
    tail_ = *ring_.sq.ktail;
    messages_ = std::make_unique_for_overwrite<msghdr[]>(ring_.sq.ring_entries);
    // A child that is forked has no business with our queues, and would have to copy them. Refused: it
    // copies.
    (void)io_uring_ring_dontfork(&ring_);
    if (allowed.has(UringFeature::registered_ring) && io_uring_register_ring_fd(&ring_) == 1) {
        features_.add(UringFeature::registered_ring);
    }
    find_operations(allowed);
}

// What no flag tells of is told by an operation that came with it.
void UringRing::find_operations(UringFeatures allowed) {
    io_uring_probe* const probe = io_uring_get_probe_ring(&ring_);
    if (probe == nullptr) return;
    if (io_uring_opcode_supported(probe, IORING_OP_SOCKET) != 0) {  // 5.19
        for (const UringFeature feature : {UringFeature::multishot_accept, UringFeature::cancel_by_fd}) {
            if (allowed.has(feature)) features_.add(feature);
        }
    }
    io_uring_free_probe(probe);
}

UringRing::~UringRing() {
    if (!open_) return;
    rings_closed.fetch_add(1, std::memory_order_release);
    io_uring_queue_exit(&ring_);
}

msghdr& UringRing::message_of(const io_uring_sqe& entry) {
    return messages_[static_cast<std::size_t>(&entry - ring_.sq.sqes)];
}

// Returns how many entries the kernel has yet to take.
unsigned UringRing::publish() {
    io_uring_smp_store_release(ring_.sq.ktail, tail_);
    return unsubmitted();
}

void UringRing::submit() {
    while (const unsigned entries = publish()) {
        const int result = enter(entries, 0, 0, nullptr);
        if (result > 0 || result == -EINTR) continue;
        if (result < 0 && result != -EAGAIN && result != -EBUSY) {
            throw std::system_error(-result, std::system_category(), "io_uring_enter");
        }
        // The kernel is out of memory or of room for completions: make room, let some end, and try again.
        set_completions_aside();
        enter(0, 1, IORING_ENTER_GETEVENTS, &short_while);
        return;
    }
}

void UringRing::submit_and_wait(Instant deadline) {
    const unsigned entries = publish();
    bool waits = deadline != Instant::min() && !completions_here();
    __kernel_timespec limit{};
    if (waits && deadline != never) {
        const auto left = (deadline - Clock::now()).count();
        waits = left > 0;
        limit = {.tv_sec = left / 1'000'000'000, .tv_nsec = left % 1'000'000'000};
    }
    if (!waits && entries == 0 && !kernel_holds_more()) return;
    const int result =
        enter(entries, waits ? 1 : 0, IORING_ENTER_GETEVENTS, waits && deadline != never ? &limit : nullptr);
    // Interrupted and timed out: as good as woken. No memory or no room: the caller comes back, with some.
    // EBADR: a completion was lost for want of memory, which the overflow count tells.
    if (result >= 0 || result == -EINTR || result == -ETIME || result == -EAGAIN || result == -EBUSY) return;
    if (result != -EBADR) throw std::system_error(-result, std::system_category(), "io_uring_enter");
    ++ledger_.overflows;
}

int UringRing::enter(unsigned entries, unsigned completions, unsigned flags, const __kernel_timespec* limit) {
    if (features_.has(UringFeature::registered_ring)) flags |= IORING_ENTER_REGISTERED_RING;
    ledger_.count(SystemCall::enter);
    const auto fd = static_cast<unsigned>(ring_.enter_ring_fd);
    if (limit == nullptr) return io_uring_enter(fd, entries, completions, flags, nullptr);
    io_uring_getevents_arg argument{};
    argument.sigmask_sz = _NSIG / 8;
    argument.ts = reinterpret_cast<std::uintptr_t>(limit);
    return io_uring_enter2(fd, entries, completions, flags | IORING_ENTER_EXT_ARG,
                           reinterpret_cast<sigset_t*>(&argument), sizeof argument);
}

bool UringRing::completions_here() const {
    return !set_aside_.empty() || *ring_.cq.khead != io_uring_smp_load_acquire(ring_.cq.ktail);
}

bool UringRing::kernel_holds_more() const {
    return (IO_URING_READ_ONCE(*ring_.sq.kflags) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
}

void UringRing::note_overflow() {
    if ((IO_URING_READ_ONCE(*ring_.sq.kflags) & IORING_SQ_CQ_OVERFLOW) != 0) ++ledger_.overflows;
}

void UringRing::set_completions_aside() {
    const unsigned last = io_uring_smp_load_acquire(ring_.cq.ktail);
    unsigned head = *ring_.cq.khead;
    for (; head != last; ++head) set_aside_.push_back(ring_.cq.cqes[head & ring_.cq.ring_mask]);
    io_uring_smp_store_release(ring_.cq.khead, head);
}

}  // namespace confab
