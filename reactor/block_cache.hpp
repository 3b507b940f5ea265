// Public: memory for small things that come and go: coroutine frames, batches of an outbox, sends in flight.
#pragma once

#include <cstddef>
#include <new>
#include <utility>

namespace confab::block_cache {

/// A block of at least `size` bytes, aligned for any fundamental type. Warm, it comes off a free list of the
/// calling thread, by size class of 16 bytes; blocks over 4 KiB come from operator new. Throws
/// std::bad_alloc.
void* allocate(std::size_t size);

/// Gives a block back; `size` as it was asked for. Any thread: it goes to the caller's free list, and to
/// operator delete once that class holds more than 256 KiB. A thread's lists are freed when it ends.
void release(void* block, std::size_t size) noexcept;

template <class T, class... Args>
T* make(Args&&... args) {
    void* const block = allocate(sizeof(T));
    return ::new (block) T(std::forward<Args>(args)...);
}

template <class T>
void destroy(T* object) noexcept {
    object->~T();
    release(object, sizeof(T));
}

}  // namespace confab::block_cache
