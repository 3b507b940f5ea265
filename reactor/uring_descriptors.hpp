// Internal to reactor: what a reactor on io_uring knows of each descriptor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <vector>

#include "reactor/operation.hpp"

namespace confab {

/// Received bytes, or an accepted descriptor, that came when nobody waited; and received bytes that are lent.
struct Arrival {
    static constexpr std::uint16_t own_memory = 0xffff;

    Arrival* next;
    std::byte* bytes;
    std::uint32_t size;
    std::uint16_t buffer;  ///< a provided buffer's index, or own_memory: `bytes` is from operator new[]
    int fd;
};

/// One descriptor and its dealings with the kernel. Receives and accepts are armed for the descriptor, not
/// for an operation: its address names them to the kernel, and they go on from one operation to the next. So
/// an operation that waits for one is cancelled without a word to the kernel, and what comes later is kept.
///
/// It lives until the kernel has sent the last completion of everything that names it (`requests`).
struct UringDescriptor {
    enum class Armed : std::uint8_t { nothing, receive, poll, accept };

    Job* waiting = nullptr;        ///< receives or accepts, oldest first
    Job* with_kernel = nullptr;    ///< sends, connects and polls whose completion is to come
    Operation* closing = nullptr;  ///< the close that waits for the rest
    Arrival* first = nullptr;      ///< came when nobody waited, oldest first
    Arrival* last = nullptr;
    Arrival* lent = nullptr;  ///< valid until the next receive
    std::uint32_t queued_bytes = 0;
    int fd = -1;
    int error = 0;                 ///< what an armed receive ended with, if nobody has heard of it yet
    std::uint16_t queued = 0;      ///< arrivals from `first` to `last`
    std::uint16_t requests = 0;    ///< entries with the kernel that name this object or an operation of its
    std::uint16_t handed_out = 0;  ///< operations that are over and not finished
    Armed armed = Armed::nothing;
    bool stopping : 1 = false;  ///< what is armed is being cancelled
    bool in_use : 1 = false;
    bool lasting : 1 = false;       ///< false: forgotten as soon as nothing is in flight
    bool tried_harder : 1 = false;  ///< a cancel that found nothing was repeated for all of the descriptor
};

/// The queue of operations that a descriptor keeps; each is linked by the `next` of its Job.
namespace job_list {

inline void append(Job*& list, Job& job) {
    Job** link = &list;
    while (*link != nullptr) link = &(*link)->next;
    job.next = nullptr;
    *link = &job;
}

/// False: `job` is not in it.
inline bool take_out(Job*& list, Job& job) {
    for (Job** link = &list; *link != nullptr; link = &(*link)->next) {
        if (*link != &job) continue;
        *link = job.next;
        job.next = nullptr;
        return true;
    }
    return false;
}

}  // namespace job_list

/// Objects that stay where they are and are used again: no allocation when warm, no search.
template <class Object>
class StablePool {
    static_assert(std::is_trivially_destructible_v<Object>);

  public:
    /// In whatever state it was put back.
    Object& get() {
        if (free_.empty()) [[unlikely]]
            add();
        Object& object = *free_.back();
        free_.pop_back();
        return object;
    }
    void put(Object& object) { free_.push_back(&object); }

    template <class Function>
    void for_each(Function function) {
        for (const auto& chunk : chunks_) {
            for (std::size_t i = 0; i < chunk_size; ++i) function(chunk[i]);
        }
    }

  private:
    static constexpr std::size_t chunk_size = 64;

    void add() {
        chunks_.push_back(std::make_unique<Object[]>(chunk_size));
        free_.reserve(chunks_.size() * chunk_size);
        for (std::size_t i = chunk_size; i > 0; --i) free_.push_back(&chunks_.back()[i - 1]);
    }

    std::vector<std::unique_ptr<Object[]>> chunks_;
    std::vector<Object*> free_;
};

/// The descriptors in use, by number.
class UringDescriptors {
  public:
    /// nullptr: nothing is known of `fd`.
    UringDescriptor* find(int fd) const {
        return has_room_for(fd) ? table_[static_cast<std::size_t>(fd)] : nullptr;
    }
    /// True when the table need not grow for `fd`.
    bool has_room_for(int fd) const { return static_cast<std::size_t>(fd) < table_.size(); }
    /// What is known of `fd`, which may be nothing yet.
    UringDescriptor& get(int fd) {
        UringDescriptor* const known = find(fd);
        return known != nullptr ? *known : add(fd);
    }
    /// From now on `fd` is another file: nothing is known of it. The object lives on.
    void detach(UringDescriptor& descriptor);
    /// The object is free to be another's.
    void put(UringDescriptor& descriptor);

    template <class Function>
    void for_each(Function function) {
        pool_.for_each([&](UringDescriptor& descriptor) {
            if (descriptor.in_use) function(descriptor);
        });
    }

  private:
    UringDescriptor& add(int fd);

    std::vector<UringDescriptor*> table_;
    StablePool<UringDescriptor> pool_;
};

}  // namespace confab
