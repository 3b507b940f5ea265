// Public: a list that processes share.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "pools/fd.hpp"
#include "pools/processes/message_format.hpp"
#include "pools/processes/shared_store.hpp"

namespace confab::processes {

/// Values in an order, in memory that processes share, under a lock of its own: Python's manager.list()
/// without a manager. Made before the fork, or sent as a descriptor and attached. Any thread of any process.
///
/// Values are given as copies. To change one in place there is no way but `update`, which reads, changes and
/// writes it with the lock held, so that nothing that another does in between is lost. To go through all of
/// them, take a snapshot.
///
/// Every call happens as a whole or not at all, even if its process is killed in the middle, which the next
/// one to use the list puts right (and `recoveries` counts). A call takes time with the number of references
/// it moves: none for get, set, append and pop; those of the whole list, four bytes each, for insert and
/// erase in the middle.
///
/// The bound is `capacity`: bytes for all values together, each with at most 23 more, and their references, 4
/// each and up to three times that while they are moved. std::length_error says that there is no room;
/// nothing has changed then.
template <message T>
class shared_list {
  public:
    /// Throws std::logic_error for a capacity of 0 or of more than 32 GiB, std::system_error as shared_memory
    /// does.
    explicit shared_list(std::size_t capacity) : store_(capacity, shared_store::Use::list) {}
    /// The list that another process made, of values of the same type. Throws what shared_memory::attach
    /// does, and std::invalid_argument when it is something else.
    static shared_list attach(Fd descriptor) { return shared_list(std::move(descriptor)); }
    const Fd& descriptor() const { return store_.descriptor(); }

    std::size_t size() const { return Held(store_).count(); }
    bool empty() const { return size() == 0; }

    /// A copy; const, since to change it would change nothing, and that shall not compile. Indices count from
    /// 0; one that is not there throws std::out_of_range, here and below.
    const T get(std::size_t index) const {
        const Held held(store_);
        return value(held, at(held, index));
    }
    /// Copies of [begin, end), as far as there are such.
    std::vector<T> slice(std::size_t begin, std::size_t end) const {
        const Held held(store_);
        std::vector<T> values;
        end = std::min<std::size_t>(end, held.count());
        for (std::size_t i = begin; i < end; ++i) values.push_back(value(held, held.table()[i]));
        return values;
    }
    /// Copies of all, as they are at one moment.
    std::vector<T> snapshot() const { return slice(0, SIZE_MAX); }

    void set(std::size_t index, const T& value) {
        Held held(store_);
        replace(held, index, value);
    }
    /// Calls `change(T&)` with a copy and puts that in its place, with the lock held: it must not use this
    /// list (std::system_error, resource_deadlock_would_occur), and others wait. What it throws comes out,
    /// and nothing has changed then. Gives what it gives.
    template <std::invocable<T&> Change>
    auto update(std::size_t index, Change change) {
        Held held(store_);
        T changed = value(held, at(held, index));
        if constexpr (std::is_void_v<std::invoke_result_t<Change&, T&>>) {
            std::invoke(change, changed);
            replace(held, index, changed);
        } else {
            auto result = std::invoke(change, changed);
            replace(held, index, changed);
            return result;
        }
    }

    void append(const T& value) {
        Held held(store_);
        const std::uint32_t count = held.count();
        if (count == held.table().size()) {
            held.set_table(held.table(), std::max<std::size_t>(least_references, count), count);
        }
        const auto& encoded = message_format<T>::encode(value);
        held.set(count, held.write({encoded}));
        held.set_count(count + 1);
    }
    /// Takes the last one out; nothing: there is none.
    std::optional<T> pop() {
        Held held(store_);
        const std::uint32_t count = held.count();
        if (count == 0) return std::nullopt;
        const block_ref block = held.table()[count - 1];
        std::optional<T> last(value(held, block));
        held.set_count(count - 1);
        held.set(count - 1, shared_store::nothing);
        held.free(block);
        return last;
    }
    /// Before the one that has this index now; at `size`: behind all.
    void insert(std::size_t index, const T& value) {
        Held held(store_);
        if (index > held.count())
            throw std::out_of_range("no place " + std::to_string(index) + " in the list");
        std::vector<block_ref> table(held.table().begin(), held.table().begin() + held.count());
        const auto& encoded = message_format<T>::encode(value);
        const block_ref block = held.write({encoded});
        table.insert(table.begin() + static_cast<std::ptrdiff_t>(index), block);
        try {
            held.set_table(table, table.size(), held.count() + 1);
        } catch (...) {
            held.free(block);
            throw;
        }
    }
    /// Takes one out from wherever it is, and gives it.
    T erase(std::size_t index) {
        Held held(store_);
        const block_ref block = at(held, index);
        T erased = value(held, block);
        std::vector<block_ref> table(held.table().begin(), held.table().begin() + held.count());
        table.erase(table.begin() + static_cast<std::ptrdiff_t>(index));
        held.set_table(table, least_references, held.count() - 1);
        held.free(block);
        return erased;
    }
    void clear() {
        Held held(store_);
        const std::vector<block_ref> blocks(held.table().begin(), held.table().begin() + held.count());
        held.set_table({}, least_references, 0);
        for (const block_ref block : blocks) held.free(block);
    }

    /// How often somebody has died in the middle of a call.
    std::uint64_t recoveries() const { return Held(store_).recoveries(); }

  private:
    using Held = shared_store::Held;
    static constexpr std::size_t least_references = 8;

    explicit shared_list(Fd descriptor) : store_(std::move(descriptor), shared_store::Use::list) {}

    static block_ref at(const Held& held, std::size_t index) {
        if (index >= held.count())
            throw std::out_of_range("no value " + std::to_string(index) + " in the list");
        return held.table()[index];
    }
    static T value(const Held& held, block_ref block) {
        return message_format<T>::decode(held.read(block), {});
    }
    static void replace(Held& held, std::size_t index, const T& value) {
        const block_ref before = at(held, index);
        const auto& encoded = message_format<T>::encode(value);
        held.set(index, held.write({encoded}));
        held.free(before);
    }

    shared_store store_;
};

}  // namespace confab::processes
