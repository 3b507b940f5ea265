// Internal to pools: blocks of bytes in shared memory, and a table of them, that survive the death of whoever
// changes them. What shared_map and shared_list stand on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <utility>

#include "pools/fd.hpp"
#include "pools/processes/mutex.hpp"
#include "pools/processes/shared_memory.hpp"

namespace confab::processes {

/// Where a block is.
using block_ref = std::uint32_t;

/// A table of references to blocks, all in one piece of memory and under one lock.
///
/// Blocks do not change: what replaces one is written to a new block first, then the reference in the table
/// is changed, and only then the old one is freed. That one store is the change. Who is killed before it has
/// changed nothing; who is killed after it, or anywhere, may leave a block that nobody refers to, or the
/// chain of free blocks half linked. So the next one to take the lock works these out anew from the table
/// (`rebuild`). That also joins free blocks that lie side by side, and is done, too, when no free block is
/// large enough.
class shared_store {
  public:
    class Held;

    /// What is not a block.
    static constexpr block_ref nothing = 0;
    static constexpr block_ref was_something = 1;

    /// How a table says what is in it.
    enum class Use : std::uint32_t {
        list,  ///< its first `count` references are blocks
        set,   ///< those that are not `nothing` or `was_something`; `count` says how many
    };

    /// Room for `capacity` bytes of blocks, their heads and the table. Throws std::logic_error when that is 0
    /// or more than 32 GiB, std::system_error as shared_memory does.
    shared_store(std::size_t capacity, Use use);
    /// Throws what shared_memory::attach does, and std::invalid_argument when it is no store of this use.
    shared_store(Fd descriptor, Use use);

    const Fd& descriptor() const { return memory_.descriptor(); }

  private:
    struct Layout;
    struct Block;
    struct Table;

    Layout& layout() const;

    shared_memory memory_;
};

/// The store, locked, and in order. For as short as can be.
class [[nodiscard]] shared_store::Held {
  public:
    /// Waits for the lock. Throws std::system_error (resource_deadlock_would_occur) when this thread has it.
    explicit Held(const shared_store& store);
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;
    ~Held();

    /// Writes the pieces behind one another into a new block, which is to be set in the table, or freed,
    /// before another is written. Throws std::length_error when there is no room, and has changed nothing
    /// then.
    block_ref write(std::initializer_list<std::span<const std::byte>> pieces);
    std::span<const std::byte> read(block_ref block) const;
    void free(block_ref block);

    /// All references; how many of them are blocks; and how many have been `nothing` ever since the table was
    /// set.
    std::span<const block_ref> table() const;
    std::uint32_t count() const;
    std::uint32_t unused() const;

    /// Each of these is one change.
    void set(std::size_t index, block_ref block);
    void set_count(std::uint32_t count);
    /// Another table in the place of this one, of which `count` references are blocks and the others
    /// `nothing`, with `spare` more of these. Throws std::length_error, and has changed nothing then.
    void set_table(std::span<const block_ref> table, std::size_t spare, std::uint32_t count);

    /// How often somebody has died with the lock.
    std::uint64_t recoveries() const;

  private:
    block_ref allocate(std::size_t size);
    block_ref first_fit(std::uint32_t units);
    void rebuild();

    Layout& all_;
    block_ref written_ = nothing;  // and not yet in the table
};

}  // namespace confab::processes
