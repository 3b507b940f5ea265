// Public: a map that processes share.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "pools/fd.hpp"
#include "pools/processes/message_format.hpp"
#include "pools/processes/shared_store.hpp"

namespace confab::processes {

/// Values by key, in memory that processes share, under a lock of its own: Python's manager.dict() without a
/// manager. Made before the fork, or sent as a descriptor and attached. Any thread of any process.
///
///     processes::shared_map<std::string, int> stock(1 << 20);
///     stock.set("apples", 100);
///     stock.update("apples", [](int& left) { --left; });   // by any process; no lock to be forgotten
///
/// Values are given as copies, and changed in place only by `update`; every call happens as a whole or not at
/// all, even if its process is killed in the middle. All that is as in shared_list. Keys are the same when
/// their bytes are (message_format.hpp), so they should have one form each: no unordered containers in them,
/// no padding.
///
/// The bound is `capacity`: bytes for all keys and values together, each pair with at most 31 more, and their
/// references, 8 to 16 each and up to three times that while the map grows. std::length_error says that there
/// is no room; nothing has changed then.
template <message Key, message Value>
class shared_map {
  public:
    /// Throws std::logic_error for a capacity of 0 or of more than 32 GiB, std::system_error as shared_memory
    /// does.
    explicit shared_map(std::size_t capacity) : store_(capacity, shared_store::Use::set) {}
    /// The map that another process made, of the same types. Throws what shared_memory::attach does, and
    /// std::invalid_argument when it is something else.
    static shared_map attach(Fd descriptor) { return shared_map(std::move(descriptor)); }
    const Fd& descriptor() const { return store_.descriptor(); }

    std::size_t size() const { return Held(store_).count(); }
    bool empty() const { return size() == 0; }

    /// A copy; nothing: there is no such key. Const, since to change the copy would change nothing, and that
    /// shall not compile.
    const std::optional<Value> get(const Key& key) const {
        const auto& encoded = message_format<Key>::encode(key);
        const Held held(store_);
        const std::optional<std::size_t> place = find(held, encoded);
        if (!place) return std::nullopt;
        return value(held, held.table()[*place]);
    }
    bool contains(const Key& key) const {
        const auto& encoded = message_format<Key>::encode(key);
        const Held held(store_);
        return find(held, encoded).has_value();
    }
    /// Copies of all, as they are at one moment; in no order.
    std::vector<std::pair<Key, Value>> snapshot() const {
        const Held held(store_);
        std::vector<std::pair<Key, Value>> all;
        for (const block_ref block : held.table()) {
            if (!is_block(block)) continue;
            all.emplace_back(message_format<Key>::decode(key_of(held.read(block)), {}), value(held, block));
        }
        return all;
    }

    /// The key has this value now. True: it is new.
    bool set(const Key& key, const Value& value) {
        const auto& encoded = message_format<Key>::encode(key);
        Held held(store_);
        const std::optional<std::size_t> place = find(held, encoded);
        put(held, place, encoded, value);
        return !place;
    }
    /// Calls `change(Value&)` with a copy and puts that in its place, with the lock held: it must not use
    /// this map (std::system_error, resource_deadlock_would_occur), and others wait. What it throws comes
    /// out, and nothing has changed then. False: there is no such key, and nothing was called.
    template <std::invocable<Value&> Change>
    bool update(const Key& key, Change change) {
        return update_place(key, nullptr, change);
    }
    /// The same; a key that is not there gets `initial` first. True: it was there.
    template <std::invocable<Value&> Change>
    bool update(const Key& key, const Value& initial, Change change) {
        return update_place(key, &initial, change);
    }
    /// False: there is no such key.
    bool erase(const Key& key) {
        const auto& encoded = message_format<Key>::encode(key);
        Held held(store_);
        const std::optional<std::size_t> place = find(held, encoded);
        if (!place) return false;
        const block_ref block = held.table()[*place];
        held.set(*place, shared_store::was_something);
        held.set_count(held.count() - 1);
        held.free(block);
        return true;
    }
    void clear() {
        Held held(store_);
        const std::vector<block_ref> blocks(held.table().begin(), held.table().end());
        held.set_table({}, least_references, 0);
        for (const block_ref block : blocks) {
            if (is_block(block)) held.free(block);
        }
    }

    /// How often somebody has died in the middle of a call.
    std::uint64_t recoveries() const { return Held(store_).recoveries(); }

  private:
    using Held = shared_store::Held;
    using Bytes = std::span<const std::byte>;

    // An entry's block: this, the key's bytes, the value's.
    struct Head {
        std::uint32_t hash;
        std::uint32_t key_size;
    };

    static constexpr std::size_t least_references = 16;  // a power of two, as all sizes of the table

    explicit shared_map(Fd descriptor) : store_(std::move(descriptor), shared_store::Use::set) {}

    static bool is_block(block_ref it) {
        return it != shared_store::nothing && it != shared_store::was_something;
    }

    static Head head_of(Bytes entry) {
        Head head;
        std::memcpy(&head, entry.data(), sizeof head);
        return head;
    }
    static Bytes key_of(Bytes entry) { return entry.subspan(sizeof(Head), head_of(entry).key_size); }
    static Value value(const Held& held, block_ref block) {
        const Bytes entry = held.read(block);
        return message_format<Value>::decode(entry.subspan(sizeof(Head) + head_of(entry).key_size), {});
    }

    // FNV-1a: the same in every process.
    static std::uint32_t hash_of(Bytes key) {
        std::uint64_t hash = 0xcbf29ce484222325;
        for (const std::byte byte : key) hash = (hash ^ std::to_integer<std::uint64_t>(byte)) * 0x100000001b3;
        return static_cast<std::uint32_t>(hash ^ hash >> 32U);
    }

    // The places of the table where a hash may be, in turn, until one that was never used.
    static std::size_t next(std::size_t place, std::size_t size) { return (place + 1) & (size - 1); }

    static std::optional<std::size_t> find(const Held& held, Bytes key) {
        const std::span<const block_ref> table = held.table();
        if (table.empty()) return std::nullopt;
        const std::uint32_t hash = hash_of(key);
        for (std::size_t place = hash & (table.size() - 1); table[place] != shared_store::nothing;
             place = next(place, table.size())) {
            if (!is_block(table[place])) continue;
            const Bytes entry = held.read(table[place]);
            if (head_of(entry).hash == hash && std::ranges::equal(key_of(entry), key)) return place;
        }
        return std::nullopt;
    }

    // A place for a new key. At least a quarter of the table was never used, so that every search ends soon.
    static std::size_t place_for(Held& held, std::uint32_t hash) {
        if (held.unused() <= held.table().size() / 4) rehash(held);
        const std::span<const block_ref> table = held.table();
        std::size_t place = hash & (table.size() - 1);
        while (is_block(table[place])) place = next(place, table.size());
        return place;
    }
    static void rehash(Held& held) {
        std::vector<block_ref> table(
            std::max(least_references, std::bit_ceil<std::size_t>(2 * held.count() + 2)),
            shared_store::nothing);
        for (const block_ref block : held.table()) {
            if (!is_block(block)) continue;
            std::size_t place = head_of(held.read(block)).hash & (table.size() - 1);
            while (table[place] != shared_store::nothing) place = next(place, table.size());
            table[place] = block;
        }
        held.set_table(table, 0, held.count());
    }

    static void put(Held& held, std::optional<std::size_t> place, Bytes key, const Value& value) {
        const auto& encoded = message_format<Value>::encode(value);
        const Head head{hash_of(key), static_cast<std::uint32_t>(key.size())};
        const bool is_new = !place;
        if (is_new) place = place_for(held, head.hash);
        const block_ref before = held.table()[*place];
        held.set(*place, held.write({std::as_bytes(std::span(&head, 1)), key, encoded}));
        if (is_new) {
            held.set_count(held.count() + 1);
        } else {
            held.free(before);
        }
    }

    template <class Change>
    bool update_place(const Key& key, const Value* initial, Change& change) {
        const auto& encoded = message_format<Key>::encode(key);
        Held held(store_);
        const std::optional<std::size_t> place = find(held, encoded);
        if (!place && initial == nullptr) return false;
        Value changed = place ? value(held, held.table()[*place]) : *initial;
        std::invoke(change, changed);
        put(held, place, encoded, changed);
        return place.has_value();
    }

    shared_store store_;
};

}  // namespace confab::processes
