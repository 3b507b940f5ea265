#include "server/chat/history.hpp"

#include <algorithm>
#include <cstring>

namespace confab::chat {

namespace {

constexpr std::size_t capacity = HistoryBlock::capacity;

}  // namespace

void History::add(RoomHistory& room, const Entry& entry, const Bounds& bounds) {
    const Record record(entry);
    const std::size_t most = bounds.bytes / sizeof(HistoryBlock);  // blocks
    while (room.messages > 0 && room.messages >= bounds.messages) drop_oldest(room);
    if (bounds.messages == 0 || record.size() > most * capacity) return;
    std::size_t needed = blocks_needed(room, record.size());
    while (room.blocks + needed > most || needed > blocks_.available()) {
        if (room.messages == 0) return;
        drop_oldest(room);
        needed = blocks_needed(room, record.size());
    }
    const bool was_empty = room.messages == 0;
    extend(room, needed);
    Place place{.block = was_empty ? room.first : room.last, .offset = was_empty ? 0 : room.end};
    // Behind the end of the log, where nobody looks.
    for (const auto part : record.parts()) write(place, part);
    const std::size_t padding = record.size() - sizeof(RecordHeader) - entry.nick.size() - entry.text.size();
    skip(place, padding);
    if (was_empty) room.begin = 0;
    room.last = place.block;
    room.end = place.offset;
    ++room.messages;
}

void History::clear(RoomHistory& room) {
    Slot block = room.first;
    for (; room.blocks > 0; --room.blocks) {
        const Slot next = blocks_[block].next;
        blocks_.give_back(block);
        block = next;
    }
    room = {};
}

std::vector<std::byte> History::last(const RoomHistory& room, std::size_t count) const {
    Place place{.block = room.first, .offset = room.begin};
    for (std::size_t skipped = room.messages - std::min<std::size_t>(count, room.messages); skipped > 0;
         --skipped) {
        skip(place, Record::size_of(header_at(place)));
    }
    if (room.messages == 0 || count == 0) return {};
    std::size_t size = 0;
    Place end = place;
    while (end.block != room.last || end.offset != room.end) {
        const std::size_t record = Record::size_of(header_at(end));
        size += record;
        skip(end, record);
    }
    std::vector<std::byte> records(size);
    read(place, records);
    return records;
}

std::optional<Position> History::find(const RoomHistory& room, std::uint64_t once) const {
    Place place{.block = room.first, .offset = room.begin};
    for (std::uint32_t left = room.messages; left > 0; --left) {
        const RecordHeader header = header_at(place);
        if (header.once == once) return header.position;
        skip(place, Record::size_of(header));
    }
    return std::nullopt;
}

void History::read(Place& place, std::span<std::byte> bytes) const {
    while (!bytes.empty()) {
        if (place.offset == capacity) place = {.block = blocks_[place.block].next, .offset = 0};
        const std::size_t size = std::min(bytes.size(), capacity - place.offset);
        std::memcpy(bytes.data(), blocks_[place.block].bytes.data() + place.offset, size);
        bytes = bytes.subspan(size);
        place.offset += static_cast<std::uint32_t>(size);
    }
}

void History::skip(Place& place, std::size_t size) const {
    std::size_t offset = place.offset + size;
    for (; offset > capacity; offset -= capacity) place.block = blocks_[place.block].next;
    place.offset = static_cast<std::uint32_t>(offset);
}

RecordHeader History::header_at(Place place) const {
    RecordHeader header;
    read(place, std::as_writable_bytes(std::span(&header, 1)));
    return header;
}

// Besides those it has.
std::size_t History::blocks_needed(const RoomHistory& room, std::size_t size) {
    const std::size_t left = room.messages == 0 ? 0 : capacity - room.end;
    return size <= left ? 0 : (size - left + capacity - 1) / capacity;
}

void History::extend(RoomHistory& room, std::size_t blocks) {
    Slot tail = room.last;
    for (; blocks > 0; --blocks) {
        const Slot block = blocks_.take();
        (room.blocks == 0 ? room.first : blocks_.change(tail, &HistoryBlock::next)) = block;
        ++room.blocks;
        tail = block;
    }
}

void History::write(Place& place, std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        if (place.offset == capacity) place = {.block = blocks_[place.block].next, .offset = 0};
        const std::size_t size = std::min(bytes.size(), capacity - place.offset);
        std::memcpy(blocks_.unseen(place.block).bytes.data() + place.offset, bytes.data(), size);
        bytes = bytes.subspan(size);
        place.offset += static_cast<std::uint32_t>(size);
    }
}

void History::drop_oldest(RoomHistory& room) {
    if (room.messages == 1) return clear(room);
    Place place{.block = room.first, .offset = room.begin};
    skip(place, Record::size_of(header_at(place)));
    while (room.first != place.block) {
        const Slot next = blocks_[room.first].next;
        blocks_.give_back(room.first);
        --room.blocks;
        room.first = next;
    }
    room.begin = place.offset;
    --room.messages;
}

}  // namespace confab::chat
