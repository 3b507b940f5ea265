#include "server/chat/history.hpp"

#include <algorithm>
#include <bit>

namespace confab::chat {

namespace {

constexpr std::size_t smallest = 1024;

}  // namespace

void History::add(const Entry& entry, const Bounds& bounds) {
    const std::size_t size = record_size(entry);
    while (messages_ > 0 && messages_ >= bounds.messages) drop_oldest();
    if (bounds.messages == 0 || size > std::bit_floor(bounds.bytes)) return;
    const std::size_t wanted = std::max(smallest, std::bit_ceil(head_ - tail_ + size));
    if (wanted > ring_.capacity() && bounds.may_grow) grow(std::min(wanted, std::bit_floor(bounds.bytes)));
    while (messages_ > 0 && head_ - tail_ + size > ring_.capacity()) drop_oldest();
    if (size > ring_.capacity()) return;
    write_record(ring_, head_, entry);
    head_ += size;
    ++messages_;
}

std::vector<std::byte> History::last(std::size_t count) const {
    std::uint64_t begin = tail_;
    for (std::size_t skipped = messages_ - std::min(count, messages_); skipped > 0; --skipped) {
        begin += record_size_at(ring_, begin);
    }
    std::vector<std::byte> records(head_ - begin);
    ring_.read(begin, records);
    return records;
}

void History::drop_oldest() {
    tail_ += record_size_at(ring_, tail_);
    --messages_;
}

void History::grow(std::size_t capacity) {
    const std::vector<std::byte> kept = last(messages_);
    ring_ = ByteRing(capacity);
    ring_.write(tail_, kept);
}

}  // namespace confab::chat
