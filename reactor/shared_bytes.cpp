#include "reactor/shared_bytes.hpp"

#include <algorithm>
#include <cassert>
#include <limits>
#include <stdexcept>

#include "reactor/block_cache.hpp"

namespace confab {

SharedBytes SharedBytes::copy_of(Bytes bytes) {
    Arena arena(bytes.size());
    return arena.append(bytes);
}

void SharedBytes::free(Chunk* chunk) noexcept {
    block_cache::release(chunk, sizeof(Chunk) + chunk->capacity);
}

std::byte* Arena::reserve(std::size_t size) {
    if (chunk_ == nullptr || chunk_->capacity - used_ < size) {
        let_go();
        const std::size_t capacity = std::max(size, chunk_size_);
        if (capacity > std::numeric_limits<std::uint32_t>::max())
            throw std::length_error("Arena: text over 4 GiB");
        chunk_ = ::new (block_cache::allocate(sizeof(Chunk) + capacity))
            Chunk{1, static_cast<std::uint32_t>(capacity)};
        used_ = 0;
    }
    return chunk_->data() + used_;
}

SharedBytes Arena::commit(std::size_t size) {
    assert(chunk_ != nullptr && chunk_->capacity - used_ >= size);
    const std::uint32_t begin = used_;
    used_ += static_cast<std::uint32_t>(size);
    return {chunk_, begin, used_};
}

SharedBytes Arena::append(Bytes first, Bytes second) {
    std::byte* const text = reserve(first.size() + second.size());
    std::copy(second.begin(), second.end(), std::copy(first.begin(), first.end(), text));
    return commit(first.size() + second.size());
}

void Arena::let_go() {
    if (chunk_ == nullptr) return;
    const SharedBytes last(chunk_, 0, 0);  // frees the chunk if nobody else holds any of it
    --chunk_->references;
    chunk_ = nullptr;
}

}  // namespace confab
