// Linked into programs, never into the library: replaces the global operator new so that the ledger can say
// what a message allocated. Sanitizer builds leave it out, they bring their own.
#include <cstdlib>
#include <new>

#include "reactor/thread_counts.hpp"

namespace {

void* allocate(std::size_t size) {
    ++confab::thread_counts.allocations;
    void* const memory = std::malloc(size == 0 ? 1 : size);
    if (memory == nullptr) throw std::bad_alloc();
    return memory;
}

void* allocate_aligned(std::size_t size, std::align_val_t alignment) {
    ++confab::thread_counts.allocations;
    void* memory = nullptr;
    if (posix_memalign(&memory, static_cast<std::size_t>(alignment), size == 0 ? 1 : size) != 0) {
        throw std::bad_alloc();
    }
    return memory;
}

}  // namespace

// The other forms of new and delete call these (C++23 [new.delete.single], [new.delete.array]).
void* operator new(std::size_t size) { return allocate(size); }
void* operator new(std::size_t size, std::align_val_t alignment) { return allocate_aligned(size, alignment); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
