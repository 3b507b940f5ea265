// Public: asking a running process what its tasks do, and hearing of a loop that is held.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <source_location>
#include <string>
#include <thread>

#include "reactor/job.hpp"
#include "reactor/reactor.hpp"

namespace confab {

struct Stall;

/// While it lives, `reactor` is known to `print_task_trees` and to every Watchdog of the process. Made and
/// destroyed on the reactor's thread; the reactor runs no more once it has gone.
class Observed : private Job {
  public:
    /// `name` is what reports call the reactor.
    Observed(Reactor& reactor, std::string name);
    Observed(const Observed&) = delete;
    Observed& operator=(const Observed&) = delete;
    ~Observed();

  private:
    friend class Watchdog;
    friend void print_task_trees();
    friend void print_task_trees_within(std::chrono::milliseconds limit);
    friend std::optional<Stall> longest_stall();
    friend std::uint64_t receives_so_far();

    void print_tree();
    std::optional<Stall> stall(std::chrono::steady_clock::time_point now) const;

    Reactor& reactor_;
    const std::string name_;
    // Guarded by the registry's lock.
    bool printing_ = false;        // its job is posted
    std::uint64_t beat_seen_ = 0;  // by the watchdog
    std::uint64_t beat_reported_ = 0;
    std::chrono::steady_clock::time_point since_{};
};

/// Has every observed reactor print its task tree on stderr, under a heading, as soon as its loop comes
/// round. Any thread. A reactor that has not printed yet since the last call is not asked twice.
void print_task_trees();
/// The same, and waits until all have, for `limit` at most: one that is held prints nothing. Not on a
/// reactor's thread.
void print_task_trees_within(std::chrono::milliseconds limit);

/// What a watchdog saw. One task that holds a loop is named rightly; where many short ones do it together,
/// name and place are those of whichever ran just then, perhaps of two neighbours.
struct Stall {
    std::string reactor;
    std::chrono::milliseconds held;
    const char* task = nullptr;   ///< its name, "" for none, which lives for ever; null: it was no task
    std::source_location holder;  ///< of the await after which it ran on, or of the spawn if there was none

    /// "reactor 0 is held for 131 ms by the task 'accept' that went on after server.cpp:40"
    std::string text() const;
};

/// The loop that is held longest, as the watchdogs of this process have seen it so far; nothing when none is.
/// Any thread.
std::optional<Stall> longest_stall();

/// How many receives have brought bytes to the reactors of this process that are or were observed, up to the
/// last turn of each. Any thread.
std::uint64_t receives_so_far();

/// A thread that looks at all observed reactors and reports, once for each time, a loop that is held:
/// something runs on it and does not come back. It cannot be interrupted, but it should be known.
class Watchdog {
  public:
    static constexpr std::chrono::milliseconds default_limit{100};
    using Report = std::function<void(const Stall&)>;

    /// `report` is called on the watchdog's thread; by default it writes a line on stderr.
    explicit Watchdog(std::chrono::milliseconds limit = default_limit, Report report = {});
    Watchdog(const Watchdog&) = delete;
    Watchdog& operator=(const Watchdog&) = delete;

  private:
    void watch(const std::stop_token& stopped);
    void look();

    const std::chrono::milliseconds limit_;
    const Report report_;
    std::jthread thread_;  // last: it uses the others
};

}  // namespace confab
