#include "server/chat/bus.hpp"

#include <algorithm>
#include <cassert>

namespace confab::chat {

Bus::Bus(const BusMemory& memory, Journal& journal, std::uint32_t process)
    : head_(memory.head),
      journal_(journal),
      number_(head_.buses.fetch_add(1) + 1),
      process_(process),
      ring_(memory.ring),
      readers_(memory.readers, memory.head.readers, journal),
      paced_from_(ring_.capacity() / 4 * 3),
      paced_until_(ring_.capacity() / 8 * 3) {}

bool Bus::attach(BusReader& reader) {
    reader.slot_ = attach(&reader, reader.bell_);
    return reader.slot_ != no_slot;
}

Slot Bus::attach_courier() { return attach(nullptr, 0); }

Slot Bus::attach(BusReader* local, BellName bell) {
    const Slot slot = readers_.take();
    if (slot == no_slot) return slot;
    ReaderSlot& joined = at(slot);
    joined.active = joined.overrun = joined.waits_for_room = joined.rung = false;
    joined.bell = bell;
    joined.local = local;
    readers_.change(slot, &ReaderSlot::owner) = {.bus = number_, .process = process_, .attached = true};
    return slot;
}

Bus::Backlog Bus::take_backlog(Slot courier) {
    const ReaderSlot& behind = readers_[courier];
    if (behind.overrun) return {.overrun = true};
    if (!behind.active) return {};
    Backlog backlog{.records = std::vector<std::byte>(head_.end - behind.cursor)};
    ring_.read(behind.cursor, backlog.records);
    return backlog;
}

void Bus::detach(BusReader& reader) {
    std::erase(to_wake_, reader.slot());
    bury(reader.slot());
}

// Only what the journal knows changes: if this is taken back, a courier still has what it was to deliver.
void Bus::bury(Slot reader) {
    readers_.change(reader, &ReaderSlot::owner) = {};
    readers_.give_back(reader);
    relieve();
}

std::uint64_t Bus::append(const Entry& entry) {
    const Record record(entry);
    const std::size_t size = record.size();
    assert(size <= ring_.capacity() / 8);
    if (backlog() + size > paced_from_) {
        tail_ = slowest();
        while (backlog() + size > ring_.capacity()) overrun_slowest();
        if (backlog() + size > paced_from_ && has_room()) {
            ++head_.shortages;
            head_.paced.store(true, std::memory_order_relaxed);
        }
    }
    const std::uint64_t place = head_.end;
    std::uint64_t position = place;
    for (const auto part : record.parts()) {  // behind the end, where nobody looks
        ring_.write(position, part);
        position += part.size();
    }
    journal_.change(head_.end) = place + size;
    return place;
}

void Bus::offer(Slot slot, std::uint64_t place, const BusReader* publisher) {
    ReaderSlot& reader = at(slot);
    if (reader.active) return;
    reader.cursor = place;
    reader.active = true;
    if (publisher == nullptr || slot != publisher->slot()) to_wake_.push_back(slot);
}

// Of several entries that were taken back, a reader may have been offered the later ones only.
void Bus::rolled_back() {
    for (Slot slot = 0; slot < readers_.end(); ++slot) {
        if (readers_[slot].owner.attached) at(slot).cursor = std::min(at(slot).cursor, head_.end);
    }
}

void Bus::wake_readers() {
    std::erase_if(to_wake_, [this](Slot slot) { return wake(slot); });
}

void Bus::wake_all_active() {
    for (Slot slot = 0; slot < readers_.end(); ++slot) {
        ReaderSlot& reader = at(slot);
        if (!reader.owner.attached || !reader.active) continue;
        reader.rung = false;  // somebody may have been killed between saying so and ringing
        if (!wake(slot)) to_wake_.push_back(slot);
    }
}

// False: not now, for want of a descriptor.
bool Bus::wake(Slot slot) {
    ReaderSlot& reader = at(slot);
    if (!reader.owner.attached) return true;
    if (reader.owner.bus == number_) {
        BusReader* const known = reader.local.load(std::memory_order_relaxed);
        if (known == nullptr) return true;  // a courier
        BusReader& local = *known;
        if (!local.posted_.exchange(true, std::memory_order_seq_cst)) local.reactor_.post(local.news_);
        return true;
    }
    if (reader.bell == 0) return true;  // another's courier
    if (reader.rung.exchange(true, std::memory_order_seq_cst) || ringer_.ring(reader.bell)) return true;
    reader.rung = false;
    return false;
}

Bus::Read Bus::read(BusReader& known, std::span<std::byte> into) {
    ReaderSlot& reader = at(known);
    if (reader.overrun) return {.more = true, .overrun = true};
    if (!reader.active) return {};
    const std::uint64_t unread = head_.end - reader.cursor;
    Read result{.size = std::min<std::size_t>(unread, into.size())};
    ring_.read(reader.cursor, into.first(result.size));
    if (result.size < unread) {
        result.size = whole_records(into.first(result.size));
        result.more = true;
        if (result.size == 0) {
            RecordHeader header;
            ring_.read(reader.cursor, std::as_writable_bytes(std::span(&header, 1)));
            result.needed = Record::size_of(header);
        }
    }
    reader.cursor += result.size;
    reader.active = result.more;
    relieve();
    return result;
}

void Bus::hear(const BusReader& reader) { at(reader).rung.store(false, std::memory_order_seq_cst); }

void Bus::skip_ahead(BusReader& reader) {
    at(reader).active = at(reader).overrun = false;
    relieve();
}

std::uint64_t Bus::wait_for_room(BusReader& reader) {
    at(reader).waits_for_room = !has_room();
    return has_room() ? 0 : head_.shortages;
}

void Bus::give_up_on_laggards(std::uint64_t shortage) {
    while (!has_room() && shortage == head_.shortages) {
        overrun_slowest();
        relieve();
    }
}

std::uint64_t Bus::slowest() const {
    std::uint64_t oldest = head_.end;
    for (Slot slot = 0; slot < readers_.end(); ++slot) {
        const ReaderSlot& reader = readers_[slot];
        if (reader.owner.attached && reader.active && !reader.overrun)
            oldest = std::min(oldest, reader.cursor);
    }
    return oldest;
}

// All that are as far behind as the slowest.
void Bus::overrun_slowest() {
    const std::uint64_t oldest = slowest();
    for (Slot slot = 0; slot < readers_.end(); ++slot) {
        ReaderSlot& reader = at(slot);
        if (reader.owner.attached && reader.active && !reader.overrun && reader.cursor == oldest)
            reader.overrun = true;
    }
    tail_ = slowest();
}

// Somebody has moved on: is that enough for those who wait?
void Bus::relieve() {
    if (has_room()) return;
    tail_ = slowest();
    if (backlog() > paced_until_) return;
    head_.paced.store(false, std::memory_order_relaxed);
    for (Slot slot = 0; slot < readers_.end(); ++slot) {
        ReaderSlot& reader = at(slot);
        if (!reader.owner.attached || !reader.waits_for_room) continue;
        reader.waits_for_room = false;
        to_wake_.push_back(slot);
    }
}

}  // namespace confab::chat
