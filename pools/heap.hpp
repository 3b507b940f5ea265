// Public: a priority queue that keeps its memory, and the order among equals.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <type_traits>
#include <utility>
#include <vector>

namespace confab {

/// The steps of a binary heap, apart from where it lies: entry i has the children 2i + 1 and 2i + 2, and
/// comes before them. All comparisons of a step come before its first move, so what they throw leaves all as
/// it was; std::push_heap and std::pop_heap move as they compare, and would leave a hole. And each move is of
/// one entry into a place whose own entry has been moved on.
namespace heap {

/// Where a new entry belongs in a heap of `size`. `is_before(i)`: it comes before entry i. What has the same
/// priority is older, so it stays above.
template <class IsBefore>
std::size_t find_place(std::size_t size, IsBefore is_before) {
    std::size_t place = size;
    while (place > 0 && is_before((place - 1) / 2)) place = (place - 1) / 2;
    return place;
}

/// Makes room there: the entries above the end of the heap, up to the place, move down.
template <class Move>
void move_down(std::size_t size, std::size_t place, Move move) {
    for (std::size_t at = size; at != place; at = (at - 1) / 2) move((at - 1) / 2, at);
}

/// From the root, places that the last entry sinks past when the first one goes.
struct Way {
    static constexpr std::size_t longest = 64;  // in a heap as large as memory can be

    std::array<std::size_t, longest> places;
    std::size_t length = 0;
};

/// Of a heap that is not empty. `is_before(i, j)`: entry i comes before entry j.
template <class IsBefore>
Way find_way_of_last(std::size_t size, IsBefore is_before) {
    Way way;
    const std::size_t last = size - 1;
    for (std::size_t at = 0; 2 * at + 1 < last;) {
        std::size_t child = 2 * at + 1;
        if (child + 1 < last && is_before(child + 1, child)) ++child;
        if (!is_before(child, last)) break;
        way.places[way.length++] = child;
        at = child;
    }
    return way;
}

/// Closes the gap at the root; the last place is free then.
template <class Move>
void close_gap(std::size_t size, const Way& way, Move move) {
    std::size_t gap = 0;
    for (std::size_t i = 0; i < way.length; ++i) {
        move(way.places[i], gap);
        gap = way.places[i];
    }
    if (gap != size - 1) move(size - 1, gap);
}

}  // namespace heap

/// Gives the least first, by `Compare`; among equals the one that came first. Moving a T must not throw.
///
/// Strong guarantee.
template <class T, std::predicate<const T&, const T&> Compare = std::less<>>
class Heap {
    static_assert(std::is_nothrow_move_assignable_v<T>, "a value that throws midway would be lost");

  public:
    explicit Heap(Compare compare = {}) : before_(std::move(compare)) {}

    bool empty() const { return entries_.empty(); }
    std::size_t size() const { return entries_.size(); }

    /// Throws std::bad_alloc, or what the comparison throws, and leaves all as it was, `value` included.
    void push(T&& value) {
        if (entries_.size() == entries_.capacity()) entries_.reserve(2 * entries_.size() + least_entries);
        const std::size_t size = entries_.size();
        const std::size_t place =
            heap::find_place(size, [&](std::size_t i) { return before_(value, entries_[i].value); });
        entries_.push_back({std::move(value), next_++});
        if (place == size) return;
        Entry rising = std::move(entries_.back());
        heap::move_down(size, place, [this](std::size_t from, std::size_t to) {
            entries_[to] = std::move(entries_[from]);
        });
        entries_[place] = std::move(rising);
    }

    /// Throws what the comparison throws, and leaves all as it was. Requires: not empty.
    T pop() {
        const heap::Way way = heap::find_way_of_last(
            entries_.size(),
            [this](std::size_t one, std::size_t other) { return is_before(entries_[one], entries_[other]); });
        T value = std::move(entries_.front().value);
        heap::close_gap(entries_.size(), way, [this](std::size_t from, std::size_t to) {
            entries_[to] = std::move(entries_[from]);
        });
        entries_.pop_back();
        return value;
    }

  private:
    struct Entry {
        T value;
        std::uint64_t arrival;
    };

    static constexpr std::size_t least_entries = 8;

    bool is_before(const Entry& one, const Entry& other) const {
        if (before_(one.value, other.value)) return true;
        return !before_(other.value, one.value) && one.arrival < other.arrival;
    }

    Compare before_;
    std::vector<Entry> entries_;
    std::uint64_t next_ = 0;
};

}  // namespace confab
