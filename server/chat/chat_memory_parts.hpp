// Internal to server: what lies where in the memory of a chat.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>

#include "pools/processes/mutex.hpp"
#include "server/chat/bell.hpp"
#include "server/chat/bus.hpp"
#include "server/chat/chat_memory.hpp"
#include "server/chat/directory.hpp"
#include "server/chat/journal.hpp"

namespace confab::chat {

struct ChatMemory::Parts {
    struct Head {
        processes::mutex lock;  ///< guards all but the atomics
        Journal::Memory journal;
        BusMemory::Head bus;
        DirectoryMemory::Head directory;
        std::atomic<std::uint32_t> ended_processes;  ///< that nobody has buried yet
    };
    Head& head;
    std::span<std::atomic<bool>> ended;  ///< by process: lost, and not buried yet
    std::span<std::uint64_t> buses;      ///< by process: the number of its Bus; 0 when it has none
    BusMemory bus;
    DirectoryMemory directory;
    BellRinger ringer;
};

}  // namespace confab::chat
