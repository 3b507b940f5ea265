// Internal to reactor: memory for the kernel to copy received bytes into.
#pragma once

#include <cstddef>
#include <memory>
#include <new>

namespace confab {

/// Of a cache line. Not of a page: at the same place in a page as what they are copied from, messages of
/// 4 KiB cost a tenth more (measured, ./dev bench echo).
inline constexpr std::align_val_t receive_alignment{64};

struct FreeReceiveMemory {
    void operator()(std::byte* memory) const noexcept { ::operator delete[](memory, receive_alignment); }
};
using ReceiveMemory = std::unique_ptr<std::byte[], FreeReceiveMemory>;

/// `size` bytes, not initialized. Throws std::bad_alloc.
inline ReceiveMemory make_receive_memory(std::size_t size) {
    return ReceiveMemory(static_cast<std::byte*>(::operator new[](size, receive_alignment)));
}

}  // namespace confab
