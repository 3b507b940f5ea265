// Internal to server: arrays in shared memory, changed through a journal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "server/chat/journal.hpp"

namespace confab::chat {

/// A slot of a table. Slots are what links in shared memory are made of.
using Slot = std::uint32_t;
inline constexpr Slot no_slot = 0xFFFFFFFF;

/// A fixed number of T. Its memory is zeros at first and takes up room as it is touched.
template <class T>
class Table {
  public:
    Table(std::span<T> items, Journal& journal) : items_(items), journal_(journal) {}

    std::size_t size() const { return items_.size(); }
    const T& operator[](Slot slot) const { return items_[slot]; }
    T& change(Slot slot) { return journal_.change(items_[slot]); }
    /// Only that member of it.
    template <class Member, class Owner>
    Member& change(Slot slot, Member Owner::* member) {
        return journal_.change(items_[slot].*member);
    }
    /// For what nobody looks at before something else is changed that makes it count.
    T& unseen(Slot slot) { return items_[slot]; }

  protected:
    Journal& journal() { return journal_; }

  private:
    std::span<T> items_;
    Journal& journal_;
};

/// A table whose slots are taken and given back. T has a member `next_free`.
template <class T>
class Pool : public Table<T> {
  public:
    /// In the shared memory. Made of zeros.
    struct Head {
        Slot free;        ///< plus one: the first of those given back; 0, none
        Slot next_fresh;  ///< from here on none was ever taken
        Slot taken;       ///< how many are
    };

    Pool(std::span<T> items, Head& head, Journal& journal) : Table<T>(items, journal), head_(head) {}

    /// A slot, with whatever was in it; no_slot when all are taken.
    Slot take() {
        if (available() == 0) return no_slot;
        Head& head = this->journal().change(head_);
        ++head.taken;
        if (head.free == 0) return head.next_fresh++;
        const Slot slot = head.free - 1;
        head.free = (*this)[slot].next_free;
        return slot;
    }
    void give_back(Slot slot) {
        Head& head = this->journal().change(head_);
        --head.taken;
        this->change(slot, &T::next_free) = head.free;
        head.free = slot + 1;
    }
    std::size_t available() const { return this->size() - head_.taken; }
    /// All slots that were ever taken are below this.
    Slot end() const { return head_.next_fresh; }

  private:
    Head& head_;
};

}  // namespace confab::chat
