// Internal to server: entries as bytes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "server/chat/entry.hpp"

namespace confab::chat {

/// What stands before an entry's texts.
struct RecordHeader {
    std::uint32_t text_size;
    RoomId room;
    MemberId sender;
    MemberId target;
    Position position;
    std::uint64_t once;
    std::uint64_t at_ms;
    Kind kind;
    Reason reason;
    std::uint8_t nick_size;
    std::uint8_t unused[5];
};

/// An entry in the form in which it is kept: a header, the nick, the text, and up to seven bytes of anything,
/// which make the next record begin at a multiple of eight.
class Record {
  public:
    /// The texts stay where they are.
    explicit Record(const Entry& entry);

    std::size_t size() const { return size_of(header_); }
    /// All but what stands behind the text.
    std::array<std::span<const std::byte>, 3> parts() const {
        return {std::as_bytes(std::span(&header_, 1)), std::as_bytes(std::span(entry_.nick)),
                std::as_bytes(std::span(entry_.text))};
    }

    /// Of the record that begins with `header`.
    static std::size_t size_of(const RecordHeader& header) {
        return (sizeof header + header.nick_size + header.text_size + 7) & ~std::size_t{7};
    }

  private:
    const Entry& entry_;
    RecordHeader header_;
};

/// Takes the first record off `records`, a whole number of them. The texts lie in the records' bytes.
Entry take_record(std::span<const std::byte>& records);
/// How many of the first bytes of `bytes` are whole records.
std::size_t whole_records(std::span<const std::byte> bytes);

/// Memory that wraps around, addressed by positions that only grow. Knows nothing of what is in it.
class ByteRing {
  public:
    /// `memory`: a power of two bytes, that stay where they are.
    explicit ByteRing(std::span<std::byte> memory);

    std::size_t capacity() const { return memory_.size(); }
    void write(std::uint64_t position, std::span<const std::byte> bytes);
    void read(std::uint64_t position, std::span<std::byte> bytes) const;

  private:
    std::span<std::byte> memory_;
};

}  // namespace confab::chat
