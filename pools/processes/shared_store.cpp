#include "pools/processes/shared_store.hpp"

#include <algorithm>
#include <atomic>
#include <new>
#include <stdexcept>

namespace confab::processes {

namespace {

constexpr std::uint64_t magic = 0x636f6e6661622032;  // "confab 2"
constexpr std::size_t unit = 16;      // bytes; blocks are whole units, and references count them
constexpr block_ref first_block = 2;  // after what is not a block
constexpr std::uint32_t most_units = (1U << 31U) - 1;

// In one store, seen in the order in which they are made by whoever has the lock next.
void commit(std::uint32_t& place, std::uint32_t value) {
    std::atomic_ref(place).store(value, std::memory_order_release);
}

}  // namespace

// Blocks lie one behind the other, without gaps, at every moment.
struct shared_store::Block {
    std::uint32_t units : 31;   // of the whole block
    std::uint32_t is_used : 1;  // while rebuilding
    std::uint32_t size;         // in use: bytes that follow. In a free block: the next free one
};

struct shared_store::Table {
    block_ref* references() { return reinterpret_cast<block_ref*>(this + 1); }

    std::uint32_t count;   // of references that are blocks
    std::uint32_t unused;  // of references that have always been `nothing`
    // The references follow.
};

struct alignas(unit) shared_store::Layout {
    Layout(std::uint32_t size, Use how) : end(first_block + size), use(how) {}

    Block& block(block_ref where) {
        return *std::launder(
            reinterpret_cast<Block*>(reinterpret_cast<std::byte*>(this + 1) + (where - first_block) * unit));
    }
    Table& table_head() { return *std::launder(reinterpret_cast<Table*>(bytes(table))); }
    std::byte* bytes(block_ref where) { return reinterpret_cast<std::byte*>(&block(where) + 1); }

    const std::uint64_t is_store = magic;
    const block_ref end;  // behind the last block
    const Use use;
    mutex lock;
    block_ref table = nothing;
    block_ref first_free = nothing;
    std::uint64_t recoveries = 0;
};

shared_store::shared_store(std::size_t capacity, Use use)
    : memory_([&] {
          const std::size_t units = (capacity + unit - 1) / unit;
          if (units == 0 || units > most_units - first_block) {
              throw std::logic_error("shared values need room: between a byte and 32 GiB");
          }
          return sizeof(Layout) + units * unit;
      }()) {
    const auto units = static_cast<std::uint32_t>((memory_.size() - sizeof(Layout)) / unit);
    auto* const all = ::new (memory_.bytes().data()) Layout(units, use);
    ::new (&all->block(first_block)) Block{units & most_units, 0, nothing};
    all->first_free = first_block;
}

shared_store::shared_store(Fd descriptor, Use use) : memory_(shared_memory::attach(std::move(descriptor))) {
    if (memory_.size() < sizeof(Layout) || layout().is_store != magic || layout().use != use) {
        throw std::invalid_argument("the memory is not that of such shared values");
    }
}

shared_store::Layout& shared_store::layout() const {
    return *std::launder(reinterpret_cast<Layout*>(memory_.bytes().data()));
}

shared_store::Held::Held(const shared_store& store) : all_(store.layout()) {
    all_.lock.lock();
    if (!all_.lock.previous_owner_died()) return;
    ++all_.recoveries;
    rebuild();
    all_.lock.recovered();
}

shared_store::Held::~Held() { all_.lock.unlock(); }

std::uint64_t shared_store::Held::recoveries() const { return all_.recoveries; }

// --- Blocks --------------------------------------------------------------------------------------------

block_ref shared_store::Held::write(std::initializer_list<std::span<const std::byte>> pieces) {
    std::size_t size = 0;
    for (const auto& piece : pieces) size += piece.size();
    const block_ref block = allocate(size);
    std::byte* to = all_.bytes(block);
    for (const auto& piece : pieces) to = std::ranges::copy(piece, to).out;
    written_ = block;
    return block;
}

std::span<const std::byte> shared_store::Held::read(block_ref block) const {
    return {all_.bytes(block), all_.block(block).size};
}

void shared_store::Held::free(block_ref block) {
    if (written_ == block) written_ = nothing;
    all_.block(block).size = all_.first_free;
    all_.first_free = block;
}

block_ref shared_store::Held::allocate(std::size_t size) {
    const std::size_t units = (sizeof(Block) + size + unit - 1) / unit;
    if (units <= most_units) {
        for (const bool is_rebuilt : {false, true}) {
            if (is_rebuilt) rebuild();
            if (const block_ref block = first_fit(static_cast<std::uint32_t>(units)); block != nothing) {
                all_.block(block).size = static_cast<std::uint32_t>(size);
                return block;
            }
        }
    }
    throw std::length_error("no room for that in the shared values: make them larger, or erase some");
}

// The first free block that is large enough; what is left of it stays free.
block_ref shared_store::Held::first_fit(std::uint32_t units) {
    std::uint32_t* link = &all_.first_free;
    while (*link != nothing) {
        const block_ref found = *link;
        Block& block = all_.block(found);
        if (block.units < units) {
            link = &block.size;
            continue;
        }
        if (block.units > units) {
            const block_ref rest = found + units;
            ::new (&all_.block(rest)) Block{(block.units - units) & most_units, 0, block.size};
            *link = rest;
            block.units = units & most_units;
        } else {
            *link = block.size;
        }
        return found;
    }
    return nothing;
}

// What the table refers to is in use, and what was just written; all the rest is free. Allocates nothing, so
// that it cannot fail.
void shared_store::Held::rebuild() {
    for (block_ref it = first_block; it != all_.end; it += all_.block(it).units) all_.block(it).is_used = 0;
    if (all_.table != nothing) {
        all_.block(all_.table).is_used = 1;
        Table& head = all_.table_head();
        if (all_.use == Use::list) {
            std::fill(head.references() + head.count, head.references() + table().size(), nothing);
        }
        std::uint32_t count = 0;
        for (const block_ref it : table()) {
            if (it < first_block) continue;
            all_.block(it).is_used = 1;
            ++count;
        }
        head.count = count;
        head.unused = static_cast<std::uint32_t>(std::ranges::count(table(), nothing));
    }
    if (written_ != nothing) all_.block(written_).is_used = 1;

    all_.first_free = nothing;
    block_ref free_one = nothing;  // the one before, if it is free
    for (block_ref it = first_block; it != all_.end;) {
        const std::uint32_t units = all_.block(it).units;
        if (all_.block(it).is_used == 1) {
            free_one = nothing;
        } else if (free_one != nothing) {
            all_.block(free_one).units = (all_.block(free_one).units + units) & most_units;
        } else {
            free(it);
            free_one = it;
        }
        it += units;
    }
}

// --- The table -----------------------------------------------------------------------------------------

std::span<const block_ref> shared_store::Held::table() const {
    if (all_.table == nothing) return {};
    return {all_.table_head().references(),
            (all_.block(all_.table).size - sizeof(Table)) / sizeof(block_ref)};
}

std::uint32_t shared_store::Held::count() const {
    return all_.table == nothing ? 0 : all_.table_head().count;
}
std::uint32_t shared_store::Held::unused() const {
    return all_.table == nothing ? 0 : all_.table_head().unused;
}

void shared_store::Held::set(std::size_t index, block_ref block) {
    Table& head = all_.table_head();
    if (all_.use == Use::set && head.references()[index] == nothing) --head.unused;
    commit(head.references()[index], block);
    written_ = nothing;
}

void shared_store::Held::set_count(std::uint32_t count) { commit(all_.table_head().count, count); }

void shared_store::Held::set_table(std::span<const block_ref> table, std::size_t spare, std::uint32_t count) {
    const std::size_t size = table.size() + spare;
    const block_ref block = allocate(sizeof(Table) + size * sizeof(block_ref));
    Table& head = *::new (all_.bytes(block)) Table{count, static_cast<std::uint32_t>(size - count)};
    std::fill_n(std::ranges::copy(table, head.references()).out, spare, nothing);
    const block_ref before = all_.table;
    commit(all_.table, block);
    written_ = nothing;
    if (before != nothing) free(before);
}

}  // namespace confab::processes
