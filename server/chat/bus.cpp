#include "server/chat/bus.hpp"

#include <algorithm>
#include <cassert>

namespace confab::chat {

Bus::Bus(std::size_t capacity)
    : ring_(capacity), paced_from_(capacity / 4 * 3), paced_until_(capacity / 8 * 3) {}

void Bus::detach(BusReader& reader) {
    std::erase(to_wake_, &reader);
    std::erase(readers_, &reader);
    relieve();
}

std::uint64_t Bus::append(const Entry& entry) {
    const std::size_t size = record_size(entry);
    assert(size <= ring_.capacity() / 8);
    if (backlog() + size > paced_from_) {
        tail_ = slowest();
        while (backlog() + size > ring_.capacity()) overrun_slowest();
        if (backlog() + size > paced_from_ && !paced_.load(std::memory_order_relaxed)) {
            ++shortages_;
            paced_.store(true, std::memory_order_relaxed);
        }
    }
    const std::uint64_t place = head_;
    write_record(ring_, place, entry);
    head_ += size;
    return place;
}

void Bus::offer(BusReader& reader, std::uint64_t place, const BusReader& publisher) {
    if (reader.active_) return;
    reader.active_ = true;
    reader.cursor_ = place;
    if (&reader != &publisher) to_wake_.push_back(&reader);
}

void Bus::wake_readers() {
    for (BusReader* const reader : to_wake_) {
        if (!reader->posted_.exchange(true, std::memory_order_seq_cst)) reader->reactor_.post(reader->news_);
    }
    to_wake_.clear();
}

Bus::Read Bus::read(BusReader& reader, std::span<std::byte> into) {
    if (reader.overrun_) return {.more = true, .overrun = true};
    if (!reader.active_) return {};
    const std::uint64_t unread = head_ - reader.cursor_;
    Read result{.size = std::min<std::size_t>(unread, into.size())};
    ring_.read(reader.cursor_, into.first(result.size));
    if (result.size < unread) {
        result.size = whole_records(into.first(result.size));
        result.more = true;
        if (result.size == 0) result.needed = record_size_at(ring_, reader.cursor_);
    }
    reader.cursor_ += result.size;
    reader.active_ = result.more;
    relieve();
    return result;
}

void Bus::skip_ahead(BusReader& reader) {
    reader.overrun_ = reader.active_ = false;
    relieve();
}

std::uint64_t Bus::wait_for_room(BusReader& reader) {
    reader.waits_for_room_ = !has_room();
    return has_room() ? 0 : shortages_;
}

void Bus::give_up_on_laggards(std::uint64_t shortage) {
    while (!has_room() && shortage == shortages_) {
        overrun_slowest();
        relieve();
    }
}

std::uint64_t Bus::slowest() const {
    std::uint64_t oldest = head_;
    for (BusReader* const reader : readers_) {
        if (reader->active_ && !reader->overrun_) oldest = std::min(oldest, reader->cursor_);
    }
    return oldest;
}

// All that are as far behind as the slowest.
void Bus::overrun_slowest() {
    const std::uint64_t oldest = slowest();
    for (BusReader* const reader : readers_) {
        if (reader->active_ && !reader->overrun_ && reader->cursor_ == oldest) reader->overrun_ = true;
    }
    tail_ = slowest();
}

// Somebody has moved on: is that enough for those who wait?
void Bus::relieve() {
    if (has_room()) return;
    tail_ = slowest();
    if (backlog() > paced_until_) return;
    paced_.store(false, std::memory_order_relaxed);
    for (BusReader* const reader : readers_) {
        if (!reader->waits_for_room_) continue;
        reader->waits_for_room_ = false;
        to_wake_.push_back(reader);
    }
}

}  // namespace confab::chat
