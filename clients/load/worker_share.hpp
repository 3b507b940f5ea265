// Internal to clients: which part of a load a worker does.
#pragma once

#include <algorithm>
#include <cstddef>

namespace confab::load {

struct WorkShare {
    std::size_t index = 0, of = 1;

    /// How many of `all` are this worker's.
    std::size_t part(std::size_t all) const { return all / of + (index < all % of ? 1 : 0); }
    /// How many are those of the workers before it.
    std::size_t before(std::size_t all) const { return all / of * index + std::min(index, all % of); }
};

}  // namespace confab::load
