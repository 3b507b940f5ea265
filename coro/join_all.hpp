// Public: waiting for several tasks.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <ranges>
#include <utility>
#include <vector>

#include "coro/completions.hpp"
#include "coro/task.hpp"

namespace confab {

/// A range of `child`, of whatever result.
template <class Range>
concept Children =
    std::ranges::forward_range<Range> && std::derived_from<std::ranges::range_value_t<Range>, any_child>;

struct JoinOptions {
    /// Enough when that many are over.
    std::size_t count = SIZE_MAX;
    /// Throw, at once, what the first that fails threw. Else failures are left to whoever holds the child.
    bool raise_error = false;
    /// For that long at most. Zero or less only looks.
    Duration limit = no_limit;
};

/// Waits until those among `children` are over that are asked for; their number. The same task several times
/// counts once. The tasks go on when this is out of time or cancelled (it then throws task_canceled).
task<std::size_t> join_all(std::vector<any_child> children, JoinOptions options = {});

template <Children Range>
task<std::size_t> join_all(const Range& children, JoinOptions options = {}) {
    return join_all(std::vector<any_child>(std::ranges::begin(children), std::ranges::end(children)),
                    options);
}
template <std::derived_from<any_child>... Child>
task<std::size_t> join_all(const Child&... children) {
    return join_all(std::vector<any_child>{children...}, JoinOptions{});
}

/// Waits until one of `children` is over: its place among them, the first of those over already. Requires: at
/// least one. Throws task_canceled.
task<std::size_t> wait_any(std::vector<any_child> children);

template <Children Range>
task<std::size_t> wait_any(const Range& children) {
    return wait_any(std::vector<any_child>(std::ranges::begin(children), std::ranges::end(children)));
}
template <std::derived_from<any_child>... Child>
task<std::size_t> wait_any(const any_child& first, const Child&... others) {
    return wait_any(std::vector<any_child>{first, others...});
}

/// Asks all of `children` to end and waits for that, for `limit` at most: whether all have. A task that will
/// not be stopped survives, and remains its scope's to join.
task<bool> kill_all(std::vector<any_child> children, Duration limit = no_limit);

template <Children Range>
task<bool> kill_all(const Range& children, Duration limit = no_limit) {
    return kill_all(std::vector<any_child>(std::ranges::begin(children), std::ranges::end(children)), limit);
}

}  // namespace confab
