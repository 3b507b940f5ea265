#include "reactor/uring_buffers.hpp"

#include <sys/mman.h>

#include <algorithm>

#include "reactor/uring_constants.hpp"

namespace confab {

namespace {

constexpr std::uint32_t memory_at_first = 256 * 1024;
constexpr std::uint32_t memory_at_most = 16 * 1024 * 1024;
// A message that meets the end of a buffer comes in two pieces, which cost twice; a piece that stays out
// holds up the whole buffer. At this size every 32nd message of 4 KiB is cut.
constexpr std::uint32_t incremental_size = 128 * 1024;
// A message or a few; larger ones take several buffers.
constexpr std::uint32_t whole_size = 4 * 1024;

// The field has its name since the headers of 6.4; before, it was padding.
template <class Registration>
void set_flags(Registration& registration, std::uint16_t flags) {
    if constexpr (requires { registration.flags; }) {
        registration.flags = flags;
    } else {
        registration.pad = flags;
    }
}

}  // namespace

UringBuffers::UringBuffers(UringRing& ring, bool incremental)
    : ring_(ring),
      incremental_(incremental),
      size_(incremental ? incremental_size : whole_size),
      limit_(memory_at_most / size_) {}

std::unique_ptr<UringBuffers> UringBuffers::make(UringRing& ring, UringFeatures allowed) {
    if (!allowed.has(UringFeature::buffer_ring)) return nullptr;
    for (const bool incremental : {true, false}) {
        if (incremental && !allowed.has(UringFeature::incremental)) continue;
        std::unique_ptr<UringBuffers> buffers(new UringBuffers(ring, incremental));
        const std::size_t bytes = buffers->limit_ * sizeof(io_uring_buf);
        void* const memory =
            ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) return nullptr;
        // As with the ring: none of a forked child's business. Refused: it copies the page.
        (void)::madvise(memory, bytes, MADV_DONTFORK);
        io_uring_buf_reg registration{};
        registration.ring_addr = reinterpret_cast<std::uintptr_t>(memory);
        registration.ring_entries = buffers->limit_;
        registration.bgid = group;
        if (incremental) set_flags(registration, uring_constants::buffers_incremental);
        if (io_uring_register_buf_ring(&ring.raw(), &registration, 0) != 0) {
            ::munmap(memory, bytes);
            continue;
        }
        buffers->entries_ = static_cast<io_uring_buf*>(memory);
        buffers->buffers_.reserve(buffers->limit_);
        buffers->grow();
        return buffers;
    }
    return nullptr;
}

UringBuffers::~UringBuffers() {
    if (entries_ == nullptr) return;
    // An error would mean that it is not registered, and nothing is lost.
    (void)io_uring_unregister_buf_ring(&ring_.raw(), group);
    ::munmap(entries_, limit_ * sizeof(io_uring_buf));
}

bool UringBuffers::grow() {
    const auto before = static_cast<std::uint32_t>(buffers_.size());
    const std::uint32_t after = std::min(limit_, std::max(memory_at_first / size_, 2 * before));
    for (std::uint32_t index = before; index < after; ++index) {
        buffers_.push_back(Buffer{.memory = make_receive_memory(size_)});
        ASAN_POISON_MEMORY_REGION(buffers_.back().memory.get(), size_);
        lend_to_kernel(static_cast<std::uint16_t>(index));
    }
    return after > before;
}

void UringBuffers::give_back_unused(std::uint16_t index) {
    if (incremental_) return;
    take(index, 0);
    give_back(index, nullptr, 0);
}

void UringBuffers::lend_to_kernel(std::uint16_t index) {
    Buffer& buffer = buffers_[index];
    buffer.filled = 0;
    buffer.with_kernel = true;
    ++with_kernel_;
    io_uring_buf& entry = entries_[tail_++ & (limit_ - 1)];
    entry.addr = reinterpret_cast<std::uintptr_t>(buffer.memory.get());
    entry.len = size_;
    entry.bid = index;
}

}  // namespace confab
