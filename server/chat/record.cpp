#include "server/chat/record.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>
#include <type_traits>

namespace confab::chat {

static_assert(std::has_unique_object_representations_v<RecordHeader>, "no byte of it is left to chance");

namespace {

RecordHeader header_in(std::span<const std::byte> bytes) {
    RecordHeader header;
    std::memcpy(&header, bytes.data(), sizeof header);
    return header;
}

}  // namespace

Record::Record(const Entry& entry)
    : entry_(entry),
      header_{.text_size = static_cast<std::uint32_t>(entry.text.size()),
              .room = entry.room,
              .sender = entry.sender,
              .target = entry.target,
              .position = entry.position,
              .once = entry.once,
              .at_ms = entry.at_ms,
              .kind = entry.kind,
              .reason = entry.reason,
              .nick_size = static_cast<std::uint8_t>(entry.nick.size()),
              .unused = {}} {}

Entry take_record(std::span<const std::byte>& records) {
    const RecordHeader header = header_in(records);
    const auto* const texts = reinterpret_cast<const char*>(records.data() + sizeof header);
    records = records.subspan(Record::size_of(header));
    return {.kind = header.kind,
            .reason = header.reason,
            .room = header.room,
            .sender = header.sender,
            .target = header.target,
            .position = header.position,
            .once = header.once,
            .at_ms = header.at_ms,
            .nick = {texts, header.nick_size},
            .text = {texts + header.nick_size, header.text_size}};
}

std::size_t whole_records(std::span<const std::byte> bytes) {
    std::size_t whole = 0;
    while (bytes.size() - whole >= sizeof(RecordHeader)) {
        const std::size_t size = Record::size_of(header_in(bytes.subspan(whole)));
        if (size > bytes.size() - whole) break;
        whole += size;
    }
    return whole;
}

ByteRing::ByteRing(std::span<std::byte> memory) : memory_(memory) {
    assert(std::has_single_bit(memory.size()));
}

void ByteRing::write(std::uint64_t position, std::span<const std::byte> bytes) {
    if (bytes.empty()) return;
    const std::size_t begin = position & (memory_.size() - 1);
    const std::size_t first = std::min(bytes.size(), memory_.size() - begin);
    std::memcpy(memory_.data() + begin, bytes.data(), first);
    if (first < bytes.size()) [[unlikely]]
        std::memcpy(memory_.data(), bytes.data() + first, bytes.size() - first);
}

void ByteRing::read(std::uint64_t position, std::span<std::byte> bytes) const {
    if (bytes.empty()) return;
    const std::size_t begin = position & (memory_.size() - 1);
    const std::size_t first = std::min(bytes.size(), memory_.size() - begin);
    std::memcpy(bytes.data(), memory_.data() + begin, first);
    if (first < bytes.size()) [[unlikely]]
        std::memcpy(bytes.data() + first, memory_.data(), bytes.size() - first);
}

}  // namespace confab::chat
