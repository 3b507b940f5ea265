// Public: memory that processes share.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <span>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include "pools/fd.hpp"

namespace confab::processes {

/// A stretch of zeros that several processes can map. Move-only.
///
/// It has no name, so nothing can be left behind: the kernel frees it when the last process that has it
/// mapped or holds a descriptor of it is gone, however that ended. Another process gets at it in one of two
/// ways: a forked child has the mapping of its parent, at the same address; any other is sent the descriptor
/// over a Unix socket, and attaches. Attaching and leaving change nothing for the others.
///
/// Its size never changes, not by anybody (it is sealed), so that no access to it can fail later.
class shared_memory {
  public:
    /// Makes `size` bytes of zeros. They take up room as they are touched. Throws std::invalid_argument when
    /// `size` is 0, std::system_error when there are no descriptors or not that much memory.
    explicit shared_memory(std::size_t size);

    /// Maps what another process made, all of it: the memory knows its size. Takes the descriptor. Throws
    /// std::invalid_argument when it is not one of a shared_memory, std::system_error (EBADF) when it is
    /// none.
    static shared_memory attach(Fd descriptor);

    /// Unmaps it; addresses in it are void then. Requires: no thread of this process holds a lock in it.
    ~shared_memory() { unmap(); }
    shared_memory(shared_memory&& other) noexcept
        : descriptor_(std::move(other.descriptor_)), bytes_(std::exchange(other.bytes_, {})) {}
    shared_memory& operator=(shared_memory&& other) noexcept {
        std::swap(descriptor_, other.descriptor_);
        std::swap(bytes_, other.bytes_);
        return *this;
    }

    /// Begins at a page, valid as long as this object or the one it was moved to. Empty when moved from.
    std::span<std::byte> bytes() const { return bytes_; }
    std::size_t size() const { return bytes_.size(); }

    /// For sending; it stays this object's. Close-on-exec.
    const Fd& descriptor() const { return descriptor_; }

  private:
    shared_memory(Fd descriptor, std::size_t size);
    void unmap() noexcept;

    Fd descriptor_;
    std::span<std::byte> bytes_;
};

/// Whether an object of this type can make sense in other processes, as far as a compiler can tell. Pointers
/// and references are good in one process only, virtual functions are a pointer, and what has to be destroyed
/// would have to know which process is the last. It cannot see a pointer that is a member: that is up to you.
template <class T>
concept address_free = std::is_object_v<T> && !std::is_pointer_v<std::remove_all_extents_t<T>> &&
                       !std::is_member_pointer_v<std::remove_all_extents_t<T>> && !std::is_polymorphic_v<T> &&
                       std::is_trivially_destructible_v<T>;

/// One T in memory of its own that processes share. Move-only; the T stays where it is.
///
///     struct Tickets { processes::mutex lock; int left = 0; };
///     shared<Tickets> tickets;          // made before the fork, used by parent and child
///     guard held(tickets->lock);
///     --tickets->left;
///
/// It brings no lock: put one beside the data, or an std::atomic, or use one from elsewhere. The T is never
/// destroyed, its memory just goes when nobody has it any more.
template <address_free T>
class shared {
    static_assert(alignof(T) <= 4096, "a mapping begins at a page");

  public:
    /// Makes a T from the arguments; from none, plain data are zeros. Throws what shared_memory and T's
    /// constructor do.
    template <class... Arguments>
        requires std::is_constructible_v<T, Arguments...>
    explicit shared(Arguments&&... arguments)
        : memory_(sizeof(T)),
          value_(::new(memory_.bytes().data()) T(std::forward<Arguments>(arguments)...)) {}

    /// The T that another process made, which must be built from the same source. Throws what
    /// shared_memory::attach does, and std::invalid_argument when the size is not that of a T.
    static shared attach(Fd descriptor) { return shared(shared_memory::attach(std::move(descriptor))); }

    shared(shared&& other) noexcept
        : memory_(std::move(other.memory_)), value_(std::exchange(other.value_, nullptr)) {}
    shared& operator=(shared&& other) noexcept {
        std::swap(memory_, other.memory_);
        std::swap(value_, other.value_);
        return *this;
    }

    T& operator*() const { return *value_; }
    T* operator->() const { return value_; }

    /// What it lies in: its descriptor is what another process attaches.
    const shared_memory& memory() const { return memory_; }

  private:
    explicit shared(shared_memory memory) : memory_(std::move(memory)) {
        if (memory_.size() != sizeof(T)) throw std::invalid_argument("shared memory of another type's size");
        value_ = std::launder(reinterpret_cast<T*>(memory_.bytes().data()));
    }

    shared_memory memory_;
    T* value_ = nullptr;
};

}  // namespace confab::processes
