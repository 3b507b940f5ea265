// Public: the memory that a chat lives in.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "pools/processes/shared_memory.hpp"
#include "server/chat/limits.hpp"

namespace confab::chat {

/// All that the reactors of a chat share - who is here and where, the rooms' histories, the bus - in memory
/// that forked processes have in common. Everything has its bound from the start (Limits), and its place:
/// address space for all of it, and memory as it is first used.
///
/// It is whole at any time. A process that is killed, at whatever instruction, has made its change or has not
/// made it (server/chat/journal.hpp), and the next one to look goes on from there.
class ChatMemory {
  public:
    /// `limits` must fit together (Limits::fault). `first_epoch` must be later than all epochs of a chat that
    /// its users may remember: the time is. Made before the processes that use it are forked. Throws
    /// std::system_error when there is not that much memory.
    explicit ChatMemory(const Limits& limits, std::uint64_t first_epoch = epoch_of_now());
    ChatMemory(ChatMemory&&) noexcept;
    ChatMemory& operator=(ChatMemory&&) noexcept;
    ~ChatMemory();

    static std::uint64_t epoch_of_now();
    const Limits& limits() const { return limits_; }

    /// How many processes can have a part in it, with numbers below this.
    std::uint32_t most_processes() const;
    /// A process has ended, or a number is free again, without its Chat having been destroyed: its members
    /// are lost. Somebody who is still there sees to that: this takes no lock, waits for nothing and wakes a
    /// few. Any process, after that end: from where the process is reaped.
    void process_lost(std::uint32_t process) const;

    struct Parts;
    const Parts& parts() const { return *parts_; }

  private:
    Limits limits_;
    processes::shared_memory memory_;
    std::unique_ptr<Parts> parts_;
};

}  // namespace confab::chat
