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

/// Gives the least first, by `Compare`; among equals the one that came first. Moving a T must not throw.
///
/// Strong guarantee, which std::push_heap and std::pop_heap do not give: they move as they compare, so a
/// comparison that throws leaves a hole. Here all comparisons of a step come before its first move.
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
        std::size_t hole = entries_.size();
        // What has the same priority is older, so it stays above.
        while (hole > 0 && before_(value, entries_[parent(hole)].value)) hole = parent(hole);
        std::size_t at = entries_.size();
        entries_.push_back({std::move(value), next_++});
        if (at == hole) return;
        Entry rising = std::move(entries_.back());
        for (; at != hole; at = parent(at)) entries_[at] = std::move(entries_[parent(at)]);
        entries_[hole] = std::move(rising);
    }

    /// Throws what the comparison throws, and leaves all as it was. Requires: not empty.
    T pop() {
        // The way that the last one will sink, down from the root, to where nothing below is before it.
        std::array<std::size_t, levels> way;
        std::size_t depth = 0;
        const std::size_t last = entries_.size() - 1;
        for (std::size_t at = 0; 2 * at + 1 < last;) {
            std::size_t child = 2 * at + 1;
            if (child + 1 < last && is_before(entries_[child + 1], entries_[child])) ++child;
            if (!is_before(entries_[child], entries_[last])) break;
            way[depth++] = child;
            at = child;
        }
        T value = std::move(entries_.front().value);
        std::size_t hole = 0;
        for (std::size_t i = 0; i < depth; ++i) {
            entries_[hole] = std::move(entries_[way[i]]);
            hole = way[i];
        }
        if (hole != last) entries_[hole] = std::move(entries_[last]);
        entries_.pop_back();
        return value;
    }

  private:
    struct Entry {
        T value;
        std::uint64_t arrival;
    };

    static constexpr std::size_t least_entries = 8;
    static constexpr std::size_t levels = 64;  // of a heap as large as memory can be

    static std::size_t parent(std::size_t child) { return (child - 1) / 2; }

    bool is_before(const Entry& one, const Entry& other) const {
        if (before_(one.value, other.value)) return true;
        return !before_(other.value, one.value) && one.arrival < other.arrival;
    }

    Compare before_;
    std::vector<Entry> entries_;
    std::uint64_t next_ = 0;
};

}  // namespace confab
