// Internal to reactor: what a reactor on io_uring knows of each descriptor.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
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

/// Arrivals are used again and again: no allocation when warm.
class ArrivalPool {
  public:
    /// In whatever state it was put back.
    Arrival& get() {
        if (free_ == nullptr) [[unlikely]]
            add();
        Arrival& arrival = *free_;
        free_ = arrival.next;
        return arrival;
    }
    void put(Arrival& arrival) {
        arrival.next = free_;
        free_ = &arrival;
    }

  private:
    static constexpr std::size_t chunk_size = 64;

    void add();

    std::vector<std::unique_ptr<std::array<Arrival, chunk_size>>> chunks_;
    Arrival* free_ = nullptr;
};

/// One descriptor and its dealings with the kernel. Receives and accepts are armed for the descriptor, not
/// for an operation: its number and generation name them to the kernel, and they go on from one operation to
/// the next. So an operation that waits for one is cancelled without a word to the kernel, and what comes
/// later is kept. The generation tells what a file that has gone left behind from what is meant for the one
/// that has its number now.
struct UringDescriptor {
    enum class Armed : std::uint8_t { nothing, receive, poll, accept };

    /// Oldest first: receives and accepts, which wait for what is armed; sends, connects and polls, whose
    /// completion the kernel owes; last the close, or release, that waits for the rest.
    Job* in_flight = nullptr;
    Arrival* lent = nullptr;    ///< valid until the next receive
    Arrival* newest = nullptr;  ///< of those that came when nobody waited: a ring, `next` is the oldest
    int fd = -1;
    int error = 0;  ///< what an armed receive ended with, if nobody has heard of it yet
    std::uint16_t generation = 0;
    std::uint16_t requests = 0;    ///< entries with the kernel that name this object or an operation of its
    std::uint16_t handed_out = 0;  ///< operations that are over and not finished
    Armed armed = Armed::nothing;
    bool stopping : 1 = false;      ///< what is armed is being cancelled
    bool closing : 1 = false;       ///< a close, or release, waits for the rest
    bool tried_harder : 1 = false;  ///< a cancel that found nothing was repeated for all of the descriptor

    static bool waits_for_arrivals(const Operation& operation) {
        return operation.kind == Operation::Kind::receive || operation.kind == Operation::Kind::accept;
    }
    static bool is_with_kernel(const Operation& operation) {
        return !waits_for_arrivals(operation) && !operation.is_last();
    }

    void append(Operation& operation) {
        Job** link = &in_flight;
        while (*link != nullptr) link = &(*link)->next;
        operation.next = nullptr;
        *link = &operation;
    }
    void take_out(const Operation& operation) {
        Job** link = &in_flight;
        while (*link != &operation) link = &(*link)->next;
        *link = operation.next;
    }
    /// The oldest that waits for what is armed; nullptr: none does.
    Operation* waiting() const {
        Job* job = in_flight;
        while (job != nullptr && !waits_for_arrivals(static_cast<Operation&>(*job))) job = job->next;
        return static_cast<Operation*>(job);
    }

    struct Queued {
        std::size_t pieces;
        std::size_t bytes;
    };
    /// What came when nobody waited. Bounded (uring_receive.cpp), so counted when somebody asks.
    Queued queued() const;
    void queue(Arrival& arrival);
    /// Takes out the oldest. Requires: there is one.
    Arrival& unqueue();
};
static_assert(sizeof(Job*) != 8 || sizeof(UringDescriptor) == 40, "a million connections have one each");

/// The descriptors, by number.
class UringDescriptors {
  public:
    /// True when the table need not grow for `fd`.
    bool has_room_for(int fd) const { return page_of(fd) < table_.size(); }
    /// nullptr: nothing is known of `fd`. (Nothing may be known of one that is found, either.)
    UringDescriptor* find(int fd) const {
        if (!has_room_for(fd) || table_[page_of(fd)] == nullptr) return nullptr;
        return &(*table_[page_of(fd)])[static_cast<std::size_t>(fd) % page_size];
    }
    UringDescriptor& get(int fd) {
        UringDescriptor* const known = find(fd);
        return known != nullptr ? *known : add(fd);
    }

    template <class Function>
    void for_each(Function function) {
        for (const auto& page : table_) {
            if (page == nullptr) continue;
            for (UringDescriptor& descriptor : *page) function(descriptor);
        }
    }

  private:
    // Pages, as in readiness.hpp.
    static constexpr std::size_t page_size = 64;
    using Page = std::array<UringDescriptor, page_size>;

    static std::size_t page_of(int fd) { return static_cast<std::size_t>(fd) / page_size; }
    UringDescriptor& add(int fd);

    std::vector<std::unique_ptr<Page>> table_;
};

}  // namespace confab
