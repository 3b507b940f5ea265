#include "server/chat/chat_memory.hpp"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstddef>
#include <new>
#include <span>
#include <utility>

#include "server/chat/chat_memory_parts.hpp"

namespace confab::chat {

namespace {

using Parts = ChatMemory::Parts;

// A record is at most an eighth of the ring, and it takes a few hundred of the longest to make waiting worth
// while.
std::size_t bus_capacity(const Limits& limits) {
    return std::bit_ceil(std::max(limits.bus_bytes, 64 * limits.line_length));
}

// Every member can have a reactor of his own, and there are reactors without members.
std::size_t readers(const Limits& limits) { return limits.members + 1024; }

// Where some Ts lie in the memory.
template <class T>
struct Stretch {
    std::span<T> in(std::span<std::byte> memory) const {
        return {reinterpret_cast<T*>(memory.subspan(offset, count * sizeof(T)).data()), count};
    }

    std::size_t offset;
    std::size_t count;
};

// What lies where, one stretch behind the other. It is known before there is memory.
struct Layout {
    const Limits& limits;
    std::size_t size = 0;

    Stretch<Parts::Head> head = next<Parts::Head>(1);
    Stretch<std::atomic<bool>> ended = next<std::atomic<bool>>(readers(limits));
    Stretch<std::uint64_t> buses = next<std::uint64_t>(readers(limits));
    Stretch<std::byte> ring = next<std::byte>(bus_capacity(limits));
    Stretch<ReaderSlot> reader_slots = next<ReaderSlot>(readers(limits));
    Stretch<DirectoryMember> members = next<DirectoryMember>(limits.members);
    Stretch<DirectorySeat> seats = next<DirectorySeat>(limits.members * limits.rooms_per_member);
    Stretch<DirectoryAudience> audiences = next<DirectoryAudience>(seats.count);
    Stretch<Slot> first_audiences = next<Slot>(readers(limits));
    Stretch<DirectoryRoom> rooms = next<DirectoryRoom>(limits.rooms);
    Stretch<DirectoryTopic> topics = next<DirectoryTopic>(limits.rooms);
    Stretch<HistoryBlock> blocks = next<HistoryBlock>(limits.history_bytes_in_all / sizeof(HistoryBlock));
    Stretch<Slot> nick_buckets = next<Slot>(limits.members);
    Stretch<Slot> room_buckets = next<Slot>(limits.rooms);

    Parts in(std::span<std::byte> memory) const {
        Parts::Head& first = head.in(memory).front();
        return {.head = first,
                .ended = ended.in(memory),
                .buses = buses.in(memory),
                .bus = {.head = first.bus, .ring = ring.in(memory), .readers = reader_slots.in(memory)},
                .directory = {.head = first.directory,
                              .members = members.in(memory),
                              .seats = seats.in(memory),
                              .audiences = audiences.in(memory),
                              .first_audiences = first_audiences.in(memory),
                              .rooms = rooms.in(memory),
                              .topics = topics.in(memory),
                              .blocks = blocks.in(memory),
                              .nick_buckets = nick_buckets.in(memory),
                              .room_buckets = room_buckets.in(memory)},
                .ringer = {}};
    }

    template <class T>
    Stretch<T> next(std::size_t count) {
        constexpr std::size_t alignment = std::max(alignof(T), std::size_t{64});  // a cache line
        const std::size_t offset = (size + alignment - 1) / alignment * alignment;
        size = offset + count * sizeof(T);
        return {offset, count};
    }
};

}  // namespace

ChatMemory::ChatMemory(const Limits& limits, std::uint64_t first_epoch)
    : limits_(limits), memory_(Layout{limits}.size) {
    // Zeros are what all of it begins as, except the lock.
    parts_ = std::make_unique<Parts>(Layout{limits}.in(memory_.bytes()));
    ::new (&parts_->head.lock) processes::mutex;
    Journal journal(parts_->head.journal);
    Directory(parts_->directory, journal, limits.empty_room_kept).found(first_epoch);
    journal.commit();
}

ChatMemory::ChatMemory(ChatMemory&&) noexcept = default;
ChatMemory& ChatMemory::operator=(ChatMemory&&) noexcept = default;
ChatMemory::~ChatMemory() = default;

std::uint64_t ChatMemory::epoch_of_now() {
    const auto since_1970 = std::chrono::system_clock::now().time_since_epoch();
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(since_1970).count());
}

std::uint32_t ChatMemory::most_processes() const { return static_cast<std::uint32_t>(parts_->ended.size()); }

// Several are woken, in case that some of them are about to be killed as well, or are stopped. Without the
// lock what it reads of the readers may be out of date by the time it rings: then it has rung for nothing,
// and whoever joins later looks by himself.
void ChatMemory::process_lost(std::uint32_t process) const {
    if (parts_->ended[process].exchange(true)) return;
    ++parts_->head.ended_processes;
    int to_wake = 8;
    for (const ReaderSlot& reader : parts_->bus.readers) {
        const BellName bell = reader.bell;
        if (bell == 0 && !reader.owner.attached) break;  // never taken, and none behind it
        if (bell == 0 || reader.owner.process == process || !reader.owner.attached) continue;
        parts_->ringer.ring(bell);
        if (--to_wake == 0) break;
    }
}

}  // namespace confab::chat
