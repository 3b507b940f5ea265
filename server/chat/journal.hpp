// Internal to server: changes to shared memory that are made whole or not at all.
//
// A process can be killed between any two instructions, with a lock held and half of a change made. So
// whoever changes what processes share first writes down here what it was, in the shared memory as well. When
// all is changed he commits, which forgets what was written down. Who gets the lock of a process that died
// finds what it had not committed, and puts that back: an undo log, as databases have it (Gray and Reuter,
// "Transaction Processing", 10.2), without a disk.
//
// No fences of the processor are needed: what a killed thread has stored is in memory in the order of its
// program as soon as the kernel gives its lock to another. Only the compiler must not reorder.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace confab::chat {

/// The log, and what is done with it. Requires, for everything: the lock that guards what is changed.
class Journal {
  public:
    /// In the shared memory. Made of zeros.
    struct Memory {
        std::atomic<std::size_t> used;
        alignas(8) std::array<std::byte, 1024 * 1024> bytes;
    };

    /// `memory` lies at the same address in all processes, as does all that is changed: they are forks.
    explicit Journal(Memory& memory) : memory_(memory) {}
    Journal(const Journal&) = delete;
    Journal& operator=(const Journal&) = delete;

    /// `object`, to be changed: it will be as it is now again, unless this is committed. A change between two
    /// commits touches a bounded number of objects, of some hundred kilobytes at most (a member in a thousand
    /// rooms moves house); when they do not fit the process aborts, as it does for a false assertion.
    template <class T>
    T& change(T& object) {
        static_assert(std::is_trivially_copyable_v<T>, "it is copied byte by byte");
        keep(&object, sizeof object);
        return object;
    }

    /// What has been changed stays so.
    void commit() {
        std::atomic_signal_fence(std::memory_order_seq_cst);
        memory_.used.store(0, std::memory_order_relaxed);
        std::atomic_signal_fence(std::memory_order_seq_cst);
    }

    /// Puts back what has been changed since the last commit.
    void roll_back();

  private:
    void keep(void* object, std::size_t size);

    Memory& memory_;
};

}  // namespace confab::chat
