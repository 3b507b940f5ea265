// Internal to reactor: waiting with io_uring.
//
// Operations become entries of the ring's queue, gathered over a turn and handed over with the one system
// call that also waits. Sends, connects and polls name their operation to the kernel. Receives and accepts
// name the descriptor (see uring_descriptors.hpp) and stay armed while somebody reads: bytes lie in provided
// buffers, and those that come when nobody waits are queued. A reader that does not read is bounded by that
// queue: past the bound what is armed is cancelled, and armed anew when he is back and the queue is empty.
//
// When the buffers are all taken and may not become more, and on kernels without them, a receive polls
// instead, and `finish` makes the plain call: into memory of its own, or into a scratch buffer where there
// are no provided ones at all. So bytes that some hold on to never stop the others.
//
// Every feature of uring_features.hpp may be absent, and the code below then takes the plainer way.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>

#include "pools/fd.hpp"
#include "reactor/mechanism.hpp"
#include "reactor/receive_memory.hpp"
#include "reactor/uring_descriptors.hpp"
#include "reactor/uring_features.hpp"

struct io_uring_cqe;
struct io_uring_sqe;

namespace confab {

class UringBuffers;
class UringRing;

class UringMechanism final : public Mechanism {
  public:
    struct Options {
        std::size_t receive_size;
        UringFeatures allowed;
    };
    /// The error is a sentence on why the kernel refuses io_uring. Throws std::system_error when descriptors
    /// or memory have run out.
    static std::expected<std::unique_ptr<UringMechanism>, std::string> make(Ledger& ledger,
                                                                            const Options& options);
    ~UringMechanism() override;

    bool submit(Operation& operation) override;
    void cancel(Operation& operation) override;
    void flush() override {}  // the wait does it
    void wait(Instant deadline, bool posts_expected) override;
    void collect(JobQueue& ready) override;
    bool finish(Operation& operation) override;
    int send_now(int fd, Bytes bytes) override;
    void wake() noexcept override;
    std::string description() const override;

  private:
    struct Parts {
        std::unique_ptr<UringRing> ring;
        std::unique_ptr<UringBuffers> buffers;
        UringFeatures features;
    };
    /// What an entry's completion is about: the operation whose address it carries, or, with the number and
    /// the generation of a descriptor, what is armed for it, or a cancelling.
    enum class Tag : std::uint64_t { operation, receive, accept, cancel, wake };

    UringMechanism(Ledger& ledger, std::size_t receive_size, Parts parts);

    // Entries of the ring's queue.
    io_uring_sqe& next_entry();
    static std::uint64_t name_of(const Operation& operation);
    static std::uint64_t name_of(const UringDescriptor& descriptor, Tag tag);
    static std::uint64_t name_of_armed(const UringDescriptor& descriptor);
    UringDescriptor* descriptor_of(std::uint64_t name) const;
    void arm_wake();

    // Operations that name themselves to the kernel.
    bool submit_send(UringDescriptor& descriptor, Operation& operation);
    bool submit_connect(Operation& operation);
    void start(UringDescriptor& descriptor, Operation& operation);
    void prepare(UringDescriptor& descriptor, Operation& operation);
    void prepare_send(io_uring_sqe& entry, Operation& operation);
    void operation_ended(Operation& operation, int result);
    bool is_over(Operation& operation, int result, bool asked_to_end);

    // Receiving.
    bool submit_receive(UringDescriptor& descriptor, Operation& operation);
    void arm_receive(UringDescriptor& descriptor);
    void received(UringDescriptor& descriptor, const io_uring_cqe& completion);
    void receive_ended(UringDescriptor& descriptor, int result);
    void became_readable(UringDescriptor& descriptor, int result);
    bool receive_by_call(UringDescriptor& descriptor, Operation& operation);
    void lend_queued(UringDescriptor& descriptor, Operation& operation);
    void lend(UringDescriptor& descriptor, Operation& operation, Arrival& arrival);
    void give_back(Arrival& arrival);
    void give_back_lent(UringDescriptor& descriptor);

    // Accepting.
    bool submit_accept(UringDescriptor& descriptor, Operation& operation);
    void arm_accept(UringDescriptor& descriptor);
    void accepted(UringDescriptor& descriptor, int result);

    // What is armed, and what came when nobody waited.
    void armed_completed(UringDescriptor& descriptor, const io_uring_cqe& completion);
    void arm_again(UringDescriptor& descriptor);
    void drop_left_over(Tag tag, const io_uring_cqe& completion);
    void stop(UringDescriptor& descriptor);

    // Ends.
    bool submit_close(Operation& operation);
    void close_now(UringDescriptor& descriptor);
    void release_now(UringDescriptor& descriptor, Operation& operation);
    void settle(UringDescriptor& descriptor);
    void forget(UringDescriptor& descriptor);
    void discard(UringDescriptor& descriptor);
    void cancel_entry(UringDescriptor& descriptor, std::uint64_t name);
    void cancel_answered(UringDescriptor& descriptor, int result);
    void drain();

    bool is_descriptor(int fd);
    void completed(const io_uring_cqe& completion);
    void hand_out(UringDescriptor& descriptor, Operation& operation, int result);
    void hand_out_waiting(UringDescriptor& descriptor, int result);

    const std::unique_ptr<UringRing> ring_;
    const std::unique_ptr<UringBuffers> buffers_;  // nullptr: this kernel has none
    const UringFeatures features_;
    const std::size_t receive_size_;
    const ReceiveMemory scratch_;  // nullptr exactly when there are provided buffers
    const Fd wake_;
    UringDescriptors descriptors_;
    ArrivalPool arrivals_;
    JobQueue due_;
    std::uint64_t with_kernel_ = 0;                        // entries whose last completion is to come
    std::vector<std::vector<std::byte>> released_;         // what releases lend: since the last wait
    std::vector<std::vector<std::byte>> released_before_;  // and since the one before
    unsigned accepts_at_once_ = 0;                         // in this turn
    bool ending_ = false;
};

}  // namespace confab
