#include "server/chat/record.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>

namespace confab::chat {

namespace {

struct Header {
    std::uint32_t text_size;
    RoomId room;
    MemberId sender;
    MemberId target;
    Position position;
    Kind kind;
    Reason reason;
    std::uint8_t nick_size;
    std::uint8_t unused[5];
};
static_assert(std::has_unique_object_representations_v<Header>, "no byte of it is left to chance");

constexpr std::size_t aligned(std::size_t size) { return (size + 7) & ~std::size_t{7}; }

std::size_t size_of(const Header& header) {
    return aligned(sizeof(Header) + header.nick_size + header.text_size);
}

Header header_in(std::span<const std::byte> bytes) {
    Header header;
    std::memcpy(&header, bytes.data(), sizeof header);
    return header;
}

}  // namespace

ByteRing::ByteRing(std::size_t capacity)
    : memory_(std::make_unique_for_overwrite<std::byte[]>(capacity)), capacity_(capacity) {
    assert(std::has_single_bit(capacity));
}

void ByteRing::write(std::uint64_t position, std::span<const std::byte> bytes) {
    if (bytes.empty()) return;
    const std::size_t begin = position & (capacity_ - 1);
    const std::size_t first = std::min(bytes.size(), capacity_ - begin);
    std::memcpy(memory_.get() + begin, bytes.data(), first);
    if (first < bytes.size()) [[unlikely]]
        std::memcpy(memory_.get(), bytes.data() + first, bytes.size() - first);
}

void ByteRing::read(std::uint64_t position, std::span<std::byte> bytes) const {
    if (bytes.empty()) return;
    const std::size_t begin = position & (capacity_ - 1);
    const std::size_t first = std::min(bytes.size(), capacity_ - begin);
    std::memcpy(bytes.data(), memory_.get() + begin, first);
    if (first < bytes.size()) [[unlikely]]
        std::memcpy(bytes.data() + first, memory_.get(), bytes.size() - first);
}

std::size_t record_size(const Entry& entry) {
    return aligned(sizeof(Header) + entry.nick.size() + entry.text.size());
}

void write_record(ByteRing& ring, std::uint64_t position, const Entry& entry) {
    const Header header{.text_size = static_cast<std::uint32_t>(entry.text.size()),
                        .room = entry.room,
                        .sender = entry.sender,
                        .target = entry.target,
                        .position = entry.position,
                        .kind = entry.kind,
                        .reason = entry.reason,
                        .nick_size = static_cast<std::uint8_t>(entry.nick.size()),
                        .unused = {}};
    ring.write(position, std::as_bytes(std::span(&header, 1)));
    ring.write(position + sizeof header, std::as_bytes(std::span(entry.nick)));
    ring.write(position + sizeof header + entry.nick.size(), std::as_bytes(std::span(entry.text)));
}

std::size_t record_size_at(const ByteRing& ring, std::uint64_t position) {
    Header header;
    ring.read(position, std::as_writable_bytes(std::span(&header, 1)));
    return size_of(header);
}

Entry take_record(std::span<const std::byte>& records) {
    const Header header = header_in(records);
    const auto* const texts = reinterpret_cast<const char*>(records.data() + sizeof header);
    records = records.subspan(size_of(header));
    return {.kind = header.kind,
            .reason = header.reason,
            .room = header.room,
            .sender = header.sender,
            .target = header.target,
            .position = header.position,
            .nick = {texts, header.nick_size},
            .text = {texts + header.nick_size, header.text_size}};
}

std::size_t whole_records(std::span<const std::byte> bytes) {
    std::size_t whole = 0;
    while (bytes.size() - whole >= sizeof(Header)) {
        const std::size_t size = size_of(header_in(bytes.subspan(whole)));
        if (size > bytes.size() - whole) break;
        whole += size;
    }
    return whole;
}

}  // namespace confab::chat
