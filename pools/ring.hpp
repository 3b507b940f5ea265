// Public: a queue that keeps its memory.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

namespace confab {

/// First in, first out, in one block of memory that grows by doubling and never shrinks, so that a queue that
/// has once been as full as it gets allocates nothing more. Moving a T must not throw.
template <class T>
class Ring {
  public:
    Ring() = default;
    /// The other is empty then.
    Ring(Ring&& other) noexcept
        : slots_(std::exchange(other.slots_, nullptr)),
          slot_count_(std::exchange(other.slot_count_, 0)),
          first_(std::exchange(other.first_, 0)),
          size_(std::exchange(other.size_, 0)) {}
    Ring& operator=(Ring&&) = delete;
    ~Ring() {
        while (!empty()) static_cast<void>(pop());
        free_slots();
    }

    bool empty() const { return size_ == 0; }
    std::size_t size() const { return size_; }
    T& front() { return slots_[first_]; }

    /// Strong guarantee: throws std::bad_alloc and leaves all as it was.
    void push(T&& value) {
        if (size_ == slot_count_) grow();
        std::construct_at(&slots_[(first_ + size_) & (slot_count_ - 1)], std::move(value));
        ++size_;
    }

    /// Requires: not empty.
    T pop() {
        T& slot = slots_[first_];
        T value = std::move(slot);
        std::destroy_at(&slot);
        first_ = (first_ + 1) & (slot_count_ - 1);
        --size_;
        return value;
    }

  private:
    static constexpr std::size_t least_slots = 8;

    void grow() {
        const std::size_t larger = slot_count_ == 0 ? least_slots : 2 * slot_count_;
        T* const slots = std::allocator<T>().allocate(larger);
        const std::size_t count = size_;
        for (std::size_t i = 0; i < count; ++i) std::construct_at(&slots[i], pop());
        free_slots();
        slots_ = slots;
        slot_count_ = larger;
        first_ = 0;
        size_ = count;
    }

    void free_slots() {
        if (slots_ != nullptr) std::allocator<T>().deallocate(slots_, slot_count_);
    }

    T* slots_ = nullptr;
    std::size_t slot_count_ = 0;  // 0 or a power of two
    std::size_t first_ = 0;
    std::size_t size_ = 0;
};

}  // namespace confab
