// Public: a stack that keeps its memory.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

namespace confab {

/// Last in, first out. Moving a T must not throw.
template <class T>
class Stack {
  public:
    bool empty() const { return values_.empty(); }
    std::size_t size() const { return values_.size(); }

    /// Strong guarantee: throws std::bad_alloc and leaves all as it was.
    void push(T&& value) { values_.push_back(std::move(value)); }

    /// Requires: not empty.
    T pop() {
        T value = std::move(values_.back());
        values_.pop_back();
        return value;
    }

  private:
    std::vector<T> values_;
};

}  // namespace confab
