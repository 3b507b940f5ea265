#include "server/chat/chat_memory.hpp"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstddef>
#include <new>
#include <utility>

#include "server/chat/chat_memory_parts.hpp"

namespace confab::chat {

namespace {

using Parts = ChatMemory::Parts;

// Hands out stretches of memory one behind the other. Without memory it only counts.
class Carver {
  public:
    explicit Carver(std::byte* begin) : begin_(begin) {}

    template <class T>
    std::span<T> carve(std::size_t count) {
        constexpr std::size_t alignment = std::max(alignof(T), std::size_t{64});  // a cache line
        used_ = (used_ + alignment - 1) / alignment * alignment;
        auto* const at = reinterpret_cast<T*>(begin_ + used_);
        used_ += count * sizeof(T);
        return {at, count};
    }
    std::size_t used() const { return used_; }

  private:
    std::byte* begin_;
    std::size_t used_ = 0;
};

// A record is at most an eighth of the ring, and it takes a few hundred of the longest to make waiting worth
// while.
std::size_t bus_capacity(const Limits& limits) {
    return std::bit_ceil(std::max(limits.bus_bytes, 64 * limits.line_length));
}

// Every member can have a reactor of his own, and there are reactors without members.
std::size_t readers(const Limits& limits) { return limits.members + 1024; }

Parts carve_all(const Limits& limits, Carver& carver) {
    const std::size_t seats = limits.members * limits.rooms_per_member;
    auto& head = carver.carve<Parts::Head>(1).front();
    const auto ended = carver.carve<std::atomic<bool>>(readers(limits));
    const BusMemory bus{.head = head.bus,
                        .ring = carver.carve<std::byte>(bus_capacity(limits)),
                        .readers = carver.carve<ReaderSlot>(readers(limits))};
    const std::size_t blocks = limits.history_bytes_in_all / sizeof(HistoryBlock);
    const DirectoryMemory directory{.head = head.directory,
                                    .members = carver.carve<DirectoryMember>(limits.members),
                                    .seats = carver.carve<DirectorySeat>(seats),
                                    .audiences = carver.carve<DirectoryAudience>(seats),
                                    .first_audiences = carver.carve<Slot>(readers(limits)),
                                    .rooms = carver.carve<DirectoryRoom>(limits.rooms),
                                    .topics = carver.carve<DirectoryTopic>(limits.rooms),
                                    .blocks = carver.carve<HistoryBlock>(blocks),
                                    .nick_buckets = carver.carve<Slot>(limits.members),
                                    .room_buckets = carver.carve<Slot>(limits.rooms)};
    return {.head = head, .ended = ended, .bus = bus, .directory = directory, .ringer = {}};
}

std::size_t size_for(const Limits& limits) {
    Carver counter(nullptr);
    carve_all(limits, counter);
    return counter.used();
}

}  // namespace

ChatMemory::ChatMemory(const Limits& limits, std::uint64_t first_epoch)
    : limits_(limits), memory_(size_for(limits)) {
    // Zeros are what all of it begins as, except the lock.
    Carver carver(memory_.bytes().data());
    parts_ = std::make_unique<Parts>(carve_all(limits, carver));
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
        if (bell == 0) break;  // never taken, and none behind it
        if (reader.owner.process == process || !reader.owner.attached) continue;
        parts_->ringer.ring(bell);
        if (--to_wake == 0) break;
    }
}

}  // namespace confab::chat
