#include "reactor/block_cache.hpp"

#include <array>

namespace confab::block_cache {

namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr bool caching = false;  // a recycled block would hide a use after free
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
constexpr bool caching = false;
#else
constexpr bool caching = true;
#endif
#else
constexpr bool caching = true;
#endif

// Of 8, 24, 40 ... bytes: malloc's own blocks, which end in 8 bytes of its own, hold just these. A connection
// is a few blocks, so what each wastes counts.
constexpr std::size_t granule = 16;
constexpr std::size_t smallest = 8;
constexpr std::size_t largest = 4096;
constexpr std::size_t bytes_per_class = 256 * 1024;

struct FreeBlock {
    FreeBlock* next;
};

struct FreeList {
    FreeBlock* head = nullptr;
    std::size_t bytes = 0;
};

struct Cache {
    std::array<FreeList, largest / granule + 1> lists;
    ~Cache();
};

thread_local constinit Cache* cache = nullptr;
thread_local constinit bool cache_is_gone = false;

Cache::~Cache() {
    cache = nullptr;
    cache_is_gone = true;
    for (FreeList& list : lists) {
        while (FreeBlock* const block = list.head) {
            list.head = block->next;
            ::operator delete(block);
        }
    }
}

// The pointer spares the hot path the check of a thread_local with a destructor.
Cache* cache_of_this_thread() {
    if (cache == nullptr && !cache_is_gone) {
        thread_local Cache own;
        cache = &own;
    }
    return cache;
}

std::size_t class_of(std::size_t size) { return (size + granule - smallest - 1) / granule; }
std::size_t size_of_class(std::size_t number) { return number * granule + smallest; }

}  // namespace

void* allocate(std::size_t size) {
    if (!caching || size > largest) return ::operator new(size);
    if (Cache* const own = cache_of_this_thread()) {
        FreeList& list = own->lists[class_of(size)];
        if (FreeBlock* const block = list.head) {
            list.head = block->next;
            list.bytes -= size_of_class(class_of(size));
            return block;
        }
    }
    return ::operator new(size_of_class(class_of(size)));
}

void release(void* block, std::size_t size) noexcept {
    if (caching && size <= largest) {
        if (Cache* const own = cache_of_this_thread()) {
            FreeList& list = own->lists[class_of(size)];
            if (list.bytes < bytes_per_class) {
                list.head = ::new (block) FreeBlock{list.head};
                list.bytes += size_of_class(class_of(size));
                return;
            }
        }
    }
    ::operator delete(block);
}

}  // namespace confab::block_cache
