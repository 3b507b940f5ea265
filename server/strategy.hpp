// Public: how many reactors there are, where each runs, and how it waits.
#pragma once

#include <cstdint>
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

/// More processes than this, where there is a fixed number of them, is a typing mistake.
inline constexpr unsigned most_processes = 512;

/// The processes that serve.
struct ProcessCount {
    enum class Kind : std::uint8_t {
        one,   ///< this one
        each,  ///< one for each connection, forked when it has been accepted
        fork,  ///< `count` of them, forked beforehand; each accepts for itself
        feed,  ///< the same, but the parent accepts, and gives a connection to the one that has fewest
    };
    Kind kind = Kind::one;
    unsigned count = 1;

    bool several() const { return kind != Kind::one; }
    /// True exactly when they outlive their connections, so that another can take the place of one.
    bool several_that_stay() const { return several() && kind != Kind::each; }
    friend bool operator==(ProcessCount, ProcessCount) = default;
};

/// A strategy decides how many reactors there are, in which process and thread each runs, and which
/// connections each gets
/// - and nothing else.
struct Strategy {
    std::string name;
    ProcessCount processes{};
    ThreadCount threads{};
    Waiting waiting = Waiting::epoll;
    /// Explicit state machines on the reactor's operations instead of coroutines (echo and upper only).
    bool callbacks = false;

    /// The threads of each process that take connections.
    unsigned hosts() const { return threads.count == ThreadCount::each ? 1 : threads.count; }

    /// A reactor serves one connection at a time and leaves the others in the listener's queue.
    bool one_at_a_time() const { return waiting == Waiting::blocking && threads.count != ThreadCount::each; }

    /// A connection can go on in the process that takes its own one's place.
    bool connections_travel() const { return processes.several_that_stay(); }
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

/// What `--strategy`, `--processes`, `--threads` and `--waiting` say together.
struct StrategyRequest {
    std::string name{};                      ///< empty: "percore", unless one of the others is given
    std::optional<std::string> processes{};  ///< a number, or "each"
    std::optional<std::string> threads{};    ///< a number, or "each"
    std::optional<std::string> waiting{};    ///< "blocking" ... "uring"
};

/// The strategy, or a sentence that says what is wrong with the request and what is allowed. `processors`:
/// how many threads "a reactor per core" means, at least 1.
std::expected<Strategy, std::string> make_strategy(const StrategyRequest& request, unsigned processors);

}  // namespace confab
