// Internal to reactor: waiting in a simulation.
//
// Like the readiness mechanisms it tries, parks and is told when to try again; unlike them it may report
// anything late, in pieces, out of order, or not at all because the faults say so. It is stricter than any
// kernel: what was lent is overwritten once it goes back, and misuse throws std::logic_error.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "reactor/mechanism.hpp"
#include "reactor/simulated_buffers.hpp"
#include "reactor/simulated_faults.hpp"
#include "reactor/simulated_sockets.hpp"

namespace confab {

class SimulatedMechanism final : public Mechanism, private SimulatedWatcher {
  public:
    /// `network` outlives this.
    SimulatedMechanism(Ledger& ledger, SimulatedNetwork& network, std::size_t receive_size);
    ~SimulatedMechanism() override;

    bool submit(Operation& operation) override;
    void cancel(Operation& operation) override;
    void flush() override {}
    /// With nothing due moves the clock to the deadline or to what happens next on the network. Where neither
    /// is in sight and posts are expected, it waits in real time for `wake`.
    void wait(Instant deadline, bool posts_expected) override;
    void collect(JobQueue& ready) override;
    bool finish(Operation& operation) override;
    int send_now(int fd, Bytes bytes) override;
    void wake() noexcept override;
    Instant now() const override { return sockets_.now(); }
    Instant next_completion() const override;
    std::string description() const override;

  private:
    /// An operation that is neither over nor handed out.
    struct Parked {
        enum class Stage : std::uint8_t {
            waiting,   // for its descriptor
            late,      // called back when it is to be handed out
            cancelled  // likewise
        };
        Operation* operation;
        std::uint64_t token;
        Stage stage;
    };
    struct Watched {
        std::vector<Parked> parked;  // oldest first
        int handed_out = 0;          // due or collected, and not finished
        bool sending = false;
        Operation* close = nullptr;  // waits for all of the above
        SimulatedBuffers::Loan loan;
    };
    enum class Outcome : std::uint8_t { over, blocked, paused };

    // SimulatedWatcher
    void readiness_changed(int fd) override;
    void called_back(int fd, std::uint64_t token) override;
    bool has_in_flight(int fd) const override;
    std::string in_flight() const override;

    std::size_t index(int fd) const { return static_cast<std::size_t>(fd - first_descriptor_); }
    Watched& watched(int fd) { return table_[index(fd)]; }
    Watched& watch(int fd);

    void park(Operation& operation, Outcome why);
    void park_late(Operation& operation, Duration delay);
    bool consider(Watched& watched, std::ptrdiff_t position);
    bool ask_to_end(Watched& watched, std::ptrdiff_t position);
    void hand_out(Watched& watched, std::ptrdiff_t position);
    void hand_out(Watched& watched, Operation& operation);

    static short events_for(const Operation& operation);
    bool fails(Operation& operation);
    Outcome attempt(Operation& operation);
    static Outcome settle(Operation& operation, int result);
    static Outcome settle_at_once(Operation& operation);
    Outcome attempt_accept(Operation& operation);
    Outcome attempt_receive(Operation& operation);
    Outcome attempt_send(Operation& operation);
    Outcome attempt_poll(Operation& operation);
    bool submit_connect(Operation& operation);
    bool submit_send(Operation& operation);
    bool submit_close(Operation& operation);
    void close_when_alone(Watched& watched);
    void close_now(Watched& watched, Operation& operation);

    SimulatedSockets& sockets_;
    SimulatedFaults& faults_;
    const int first_descriptor_;
    const std::size_t receive_size_;

    std::vector<Watched> table_;   // by descriptor
    std::vector<Operation*> due_;  // for the next collect
    std::uint64_t tokens_given_ = 0;
    SimulatedBuffers buffers_;
    SimulatedBuffers::Loan scratch_;
    std::atomic<bool> woken_{false};
};

}  // namespace confab
