// Public: bytes that many outboxes hold at once - encoded once, copied never.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "reactor/operation.hpp"

namespace confab {

/// A counted block that texts are packed into, one behind the other. Only Arena and SharedBytes touch it.
struct Chunk {
    std::uint32_t references;
    std::uint32_t capacity;
    std::byte* data() { return reinterpret_cast<std::byte*>(this + 1); }
};

/// A stretch of a chunk, and a share in its life. Cheap to copy (no atomics): copies live on one thread.
class SharedBytes {
  public:
    SharedBytes() = default;
    /// A copy of `bytes` in a chunk of its own. Throws std::bad_alloc.
    static SharedBytes copy_of(Bytes bytes);
    SharedBytes(const SharedBytes& other) : chunk_(other.chunk_), begin_(other.begin_), end_(other.end_) {
        retain();
    }
    SharedBytes(SharedBytes&& other) noexcept
        : chunk_(std::exchange(other.chunk_, nullptr)), begin_(other.begin_), end_(other.end_) {}
    SharedBytes& operator=(SharedBytes other) noexcept {
        std::swap(chunk_, other.chunk_);
        begin_ = other.begin_;
        end_ = other.end_;
        return *this;
    }
    ~SharedBytes() {
        if (chunk_ != nullptr && --chunk_->references == 0) free(chunk_);
    }

    Bytes bytes() const { return {chunk_->data() + begin_, size()}; }
    std::size_t size() const { return end_ - begin_; }

    /// When `other` lies right behind this in the same chunk, takes it in and returns true: two messages of
    /// one room become one stretch, and so one part of one system call.
    bool absorb(const SharedBytes& other) {
        if (chunk_ == nullptr || other.chunk_ != chunk_ || other.begin_ != end_) return false;
        end_ = other.end_;
        return true;
    }
    /// Drops the first `count` bytes, which have been sent.
    void drop_front(std::size_t count) { begin_ += static_cast<std::uint32_t>(count); }

  private:
    friend class Arena;
    SharedBytes(Chunk* chunk, std::uint32_t begin, std::uint32_t end)
        : chunk_(chunk), begin_(begin), end_(end) {
        retain();
    }
    void retain() {
        if (chunk_ != nullptr) ++chunk_->references;
    }
    static void free(Chunk* chunk) noexcept;

    Chunk* chunk_ = nullptr;
    std::uint32_t begin_ = 0;
    std::uint32_t end_ = 0;
};

/// Packs texts into chunks. One thread. Keeps at most one chunk that is not full; the chunks live as long as
/// anybody holds bytes of theirs, so a slow reader keeps at most its queued bytes plus a chunk at each end
/// alive.
class Arena {
  public:
    static constexpr std::size_t default_chunk_size = 4096 - 64;

    explicit Arena(std::size_t chunk_size = default_chunk_size) : chunk_size_(chunk_size) {}
    Arena(const Arena&) = delete;
    Arena& operator=(const Arena&) = delete;
    ~Arena() { let_go(); }

    /// A copy of `first` and `second`, end to end. Right behind the last text when it fits there; a text
    /// longer than a chunk gets a chunk of its own. Throws std::bad_alloc.
    SharedBytes append(Bytes first, Bytes second = {});

    /// Room for a text of at most `size` bytes, to be written in place; `commit` then makes it bytes. One at
    /// a time.
    std::byte* reserve(std::size_t size);
    SharedBytes commit(std::size_t size);

    /// Fills its chunk from the start again if nobody holds any of it: memory that was just used is at hand.
    void start_over() {
        if (chunk_ != nullptr && chunk_->references == 1) used_ = 0;
    }

    /// Lets go of the chunk that is being filled: an arena at rest holds nothing.
    void let_go();

  private:
    std::size_t chunk_size_;
    std::uint32_t used_ = 0;
    Chunk* chunk_ = nullptr;
};

}  // namespace confab
