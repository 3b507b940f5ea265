// Internal to reactor: the buffers that a ring's receives pick from.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "reactor/operation.hpp"
#include "reactor/receive_memory.hpp"
#include "reactor/uring_ring.hpp"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#endif
#endif
#ifndef ASAN_POISON_MEMORY_REGION
#define ASAN_POISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#endif

namespace confab {

/// A ring of provided buffers. It begins with 256 KiB, grows by doubling when the kernel runs out, and ends
/// at 16 MiB: what then finds none waits for its bytes outside (see uring.hpp). Where the kernel fills
/// buffers incrementally they are large and many receives share one; else each receive takes a small one
/// whole.
///
/// One thread, the ring's. Outlives every receive that was told to pick from it.
class UringBuffers {
  public:
    static constexpr std::uint16_t group = 0;

    /// Registers with `ring`, incremental if that is `allowed` and the kernel can. nullptr: it cannot have
    /// any.
    static std::unique_ptr<UringBuffers> make(UringRing& ring, UringFeatures allowed);
    UringBuffers(const UringBuffers&) = delete;
    UringBuffers& operator=(const UringBuffers&) = delete;
    ~UringBuffers();

    bool incremental() const { return incremental_; }
    /// False: no receive can find a buffer until one is given back.
    bool any_left() const { return with_kernel_ > 0; }
    /// Twice as many. False: that would be beyond the bound.
    bool grow();

    /// The bytes of a completion that picked buffer `index`. They are the caller's until `give_back`.
    ///
    /// How far the kernel has filled a buffer is counted here: whether it says that it will go on
    /// (F_BUF_MORE) is not to be relied upon, it has been wrong at the end of a stream (liburing 1545).
    std::byte* take(std::uint16_t index, std::uint32_t size) {
        Buffer& buffer = buffers_[index];
        assert(buffer.with_kernel && buffer.filled + size <= size_);
        std::byte* const bytes = buffer.memory.get() + buffer.filled;
        ASAN_UNPOISON_MEMORY_REGION(bytes, size);
        buffer.filled += size;
        ++buffer.taken;
        if (!incremental_ || buffer.filled == size_) {
            buffer.with_kernel = false;
            --with_kernel_;
        }
        return bytes;
    }
    /// One more piece of what was taken will be given back.
    void split(std::uint16_t index) { ++buffers_[index].taken; }
    void give_back(std::uint16_t index, const std::byte* bytes, std::uint32_t size) {
        ASAN_POISON_MEMORY_REGION(bytes, size);
        Buffer& buffer = buffers_[index];
        if (--buffer.taken == 0 && !buffer.with_kernel) lend_to_kernel(index);
    }
    /// The kernel said that a completion without bytes used up buffer `index`.
    void give_back_unused(std::uint16_t index);

    /// Lets the kernel see what was given back. To be called before entering it.
    void publish() {
        auto* const ring =
            reinterpret_cast<io_uring_buf_ring*>(entries_);  // its tail is where no entry has anything
        if (ring->tail != tail_) io_uring_smp_store_release(&ring->tail, tail_);
    }

  private:
    struct Buffer {
        ReceiveMemory memory;
        std::uint32_t filled = 0;  // by the kernel, incrementally
        std::uint32_t taken = 0;   // pieces not yet given back
        bool with_kernel = false;
    };

    UringBuffers(UringRing& ring, bool incremental);

    void lend_to_kernel(std::uint16_t index);

    UringRing& ring_;
    const bool incremental_;
    const std::uint32_t size_;         // of a buffer
    const std::uint32_t limit_;        // of their number; a power of two
    io_uring_buf* entries_ = nullptr;  // shared with the kernel
    std::uint16_t tail_ = 0;
    std::uint32_t with_kernel_ = 0;
    std::vector<Buffer> buffers_;
};

}  // namespace confab
