// Public: how many reactors there are, where each runs, and how it waits.
#pragma once

#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "reactor/mechanism.hpp"

namespace confab {

/// The number of threads that serve: a fixed one, or one for each connection.
struct ThreadCount {
    static constexpr unsigned each = 0;
    unsigned count = 1;  ///< `each`: a thread per connection

    friend bool operator==(ThreadCount, ThreadCount) = default;
};

/// A strategy decides how many reactors there are, in which thread each runs, and which connections each gets
/// - and nothing else.
struct Strategy {
    std::string name;
    ThreadCount threads{};
    Waiting waiting = Waiting::epoll;
    /// Explicit state machines on the reactor's operations instead of coroutines (echo and upper only).
    bool callbacks = false;

    /// A reactor serves one connection at a time and leaves the others in the listener's queue.
    bool one_at_a_time() const { return waiting == Waiting::blocking && threads.count != ThreadCount::each; }
};

/// A strategy that has a name.
struct NamedStrategy {
    std::string_view name;
    std::string_view triple;  ///< processes × threads × waiting
    std::string_view good_for;
    std::string_view bad_for;
};

/// All of them, in the order in which they are taught.
std::span<const NamedStrategy> named_strategies();

/// What `--strategy`, `--threads` and `--waiting` say together.
struct StrategyRequest {
    std::string name{};                    ///< empty: "percore", unless threads or waiting are given
    std::optional<std::string> threads{};  ///< a number, or "each"
    std::optional<std::string> waiting{};  ///< "blocking" ... "uring"
};

/// The strategy, or a sentence that says what is wrong with the request and what is allowed. `processors`:
/// how many threads "a reactor per core" means, at least 1.
std::expected<Strategy, std::string> make_strategy(const StrategyRequest& request, unsigned processors);

}  // namespace confab
