// Internal to reactor: bytes that a simulation lends, and makes useless when they go back.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

namespace confab {

/// Buffers of one size. Whoever keeps looking at one that has gone back reads nonsense, and under asan is
/// caught in the act.
class SimulatedBuffers {
  public:
    explicit SimulatedBuffers(std::size_t size) : size_(size) {}
    SimulatedBuffers(const SimulatedBuffers&) = delete;
    SimulatedBuffers& operator=(const SimulatedBuffers&) = delete;
    ~SimulatedBuffers();

    /// Room for what one borrower has been lent, if anything.
    struct Loan {
        std::unique_ptr<std::byte[]> memory;
        std::size_t size = 0;
    };

    /// Lends `size` bytes. Requires: `loan` is empty.
    std::span<std::byte> lend(Loan& loan, std::size_t size);
    /// Without effect on an empty loan. All loans go back before this dies.
    void take_back(Loan& loan);

  private:
    const std::size_t size_;
    std::vector<std::unique_ptr<std::byte[]>> free_;
};

}  // namespace confab
