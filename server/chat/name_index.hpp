// Internal to server: who has a name.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "server/chat/names.hpp"
#include "server/chat/table.hpp"

namespace confab::chat {

/// A name, and what the index keeps beside it.
struct IndexedName {
    Name name;
    std::uint32_t hash;
    Slot next;  ///< in the same bucket

    std::string_view view() const { return name.view(); }
};

/// Finds the slots of a pool by a name that they carry. Names are the same as same_name has it.
///
/// Linear hashing (Litwin 1980, "Linear hashing: a new tool for file and table addressing"): with each name
/// there is one more bucket, which takes over its half of another one. So the table grows with what is in it,
/// without ever being rebuilt, and a change is small.
template <class T, IndexedName T::* name_of>
class NameIndex {
  public:
    /// In the shared memory. Made of zeros.
    struct Head {
        std::uint32_t names;
        std::uint32_t buckets;
    };

    /// `buckets`: one for each of `items` is enough.
    NameIndex(Head& head, std::span<Slot> buckets, Pool<T>& items, Journal& journal)
        : head_(head), buckets_(buckets, journal), items_(items), journal_(journal) {}

    /// The slot that has the name; no_slot when none does.
    Slot find(std::string_view name) const {
        if (head_.buckets == 0) return no_slot;
        const std::uint32_t hash = name_hash(name);
        Slot slot = buckets_[bucket_of(hash)];
        while (slot != no_slot && (of(slot).hash != hash || !same_name(of(slot).view(), name)))
            slot = of(slot).next;
        return slot;
    }

    /// Gives `slot` that name. Requires: it has none here, and nobody has the same.
    void insert(Slot slot, const Name& name) {
        if (head_.names == head_.buckets && head_.buckets < buckets_.size()) add_bucket();
        const std::uint32_t hash = name_hash(name.view());
        Slot& first = buckets_.change(bucket_of(hash));
        items_.change(slot, name_of) = {.name = name, .hash = hash, .next = first};
        first = slot;
        ++journal_.change(head_).names;
    }

    /// Requires: inserted. The name stays readable.
    void erase(Slot slot) {
        Slot at = buckets_[bucket_of(of(slot).hash)];
        if (at == slot) {
            buckets_.change(bucket_of(of(slot).hash)) = of(slot).next;
        } else {
            while (of(at).next != slot) at = of(at).next;
            items_.change(at, name_of).next = of(slot).next;
        }
        --journal_.change(head_).names;
    }

  private:
    const IndexedName& of(Slot slot) const { return items_[slot].*name_of; }

    std::uint32_t bucket_of(std::uint32_t hash) const {
        const std::uint32_t bucket = hash & (std::bit_ceil(head_.buckets) - 1);
        return bucket < head_.buckets ? bucket : bucket - std::bit_ceil(head_.buckets) / 2;
    }

    void add_bucket() {
        const std::uint32_t added = journal_.change(head_).buckets++;
        Slot slot = added == 0 ? no_slot : buckets_[added - std::bit_floor(added)];
        if (added != 0) buckets_.change(added - std::bit_floor(added)) = no_slot;
        buckets_.change(added) = no_slot;
        while (slot != no_slot) {
            const Slot next = of(slot).next;
            Slot& first = buckets_.change(bucket_of(of(slot).hash));
            items_.change(slot, name_of).next = first;
            first = slot;
            slot = next;
        }
    }

    Head& head_;
    Table<Slot> buckets_;
    Pool<T>& items_;
    Journal& journal_;
};

}  // namespace confab::chat
