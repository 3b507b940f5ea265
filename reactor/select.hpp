// Internal to reactor: waiting with select.
#pragma once

#include <sys/select.h>

#include <array>
#include <cstdint>

#include "pools/fd.hpp"
#include "reactor/readiness.hpp"
#include "reactor/wake_descriptor.hpp"

namespace confab {

/// Three sets of bits, one for each descriptor up to the highest, handed to the kernel and looked through at
/// each wait. They end at FD_SETSIZE: operations on descriptors from there on end with -EMFILE, and so does
/// accept when the connection would get such a number; it then stays in the listener's queue.
class SelectMechanism final : public ReadinessMechanism {
  public:
    /// Throws std::system_error, with EMFILE also when its own descriptor would lie beyond the sets.
    SelectMechanism(Ledger& ledger, std::size_t receive_size);

    void wait(Instant deadline, bool posts_expected) override;
    void wake() noexcept override { write_wake_descriptor(wake_); }
    std::string description() const override { return "select"; }

  private:
    // As an fd_set is laid out; in words, so that empty stretches are skipped.
    using Word = unsigned long;
    static constexpr std::size_t word_bits = sizeof(Word) * 8;
    using Set = std::array<Word, FD_SETSIZE / word_bits>;
    static_assert(sizeof(Set) == sizeof(fd_set));
    struct Sets {
        Set readable{};
        Set writable{};
        Set exceptional{};
    };

    int interest_changed(int fd) override;
    void forget(int /*fd*/) override {}
    void tell(const Sets& ready);
    static void put(Set& set, int fd, bool present);

    Fd wake_;
    Sets wanted_;
    int end_ = 0;  // one more than the highest descriptor in the sets, or than it has been
};

}  // namespace confab
