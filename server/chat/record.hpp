// Internal to server: entries as bytes in a ring.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "server/chat/entry.hpp"

namespace confab::chat {

/// Memory that wraps around, addressed by positions that only grow. Knows nothing of what is in it.
class ByteRing {
  public:
    ByteRing() = default;
    /// `capacity`: a power of two.
    explicit ByteRing(std::size_t capacity);

    std::size_t capacity() const { return capacity_; }
    void write(std::uint64_t position, std::span<const std::byte> bytes);
    void read(std::uint64_t position, std::span<std::byte> bytes) const;

  private:
    std::unique_ptr<std::byte[]> memory_;
    std::size_t capacity_ = 0;
};

/// Bytes that `entry` takes in a ring.
std::size_t record_size(const Entry& entry);
/// Writes it there. Requires: room for record_size(entry).
void write_record(ByteRing& ring, std::uint64_t position, const Entry& entry);
/// The size of the record that begins there.
std::size_t record_size_at(const ByteRing& ring, std::uint64_t position);

/// Takes the first record off `records`, a whole number of them. The texts lie in the records' bytes.
Entry take_record(std::span<const std::byte>& records);
/// How many of the first bytes of `bytes` are whole records.
std::size_t whole_records(std::span<const std::byte> bytes);

}  // namespace confab::chat
