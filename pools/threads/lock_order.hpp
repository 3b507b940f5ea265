// Public: deadlocks between threads, found before or when they happen.
//
// Off, it costs threads::mutex and threads::recursive_mutex one branch. On, it keeps a graph: an arrow from A
// to B, with the lines of both, when a thread takes B while it holds A. An arrow that closes a circle is an
// inversion: the threads may meet in it one day, even if they did not today, so one run without a deadlock
// finds it. And it keeps who waits for whom: a wait that closes a circle among those would never end.
//
//     confab::threads::mutex plate("plate"), chopsticks("chopsticks");
//     CONFAB_LOCK_ORDER=1 ./dinner
//     deadlock: each thread waits for the next
//       thread 7 holds "plate" (dinner.cpp:12) and waits for "chopsticks" (dinner.cpp:13)
//       thread 8 holds "chopsticks" (dinner.cpp:19) and waits for "plate" (dinner.cpp:20)
//
// An inversion is reported, once for each pair of locks. A deadlock is reported, and the lock() that closes
// the circle throws std::system_error (resource_deadlock_would_occur) instead of waiting, so that its thread
// can give back what it holds; to try again, let it take all at once with std::scoped_lock: at once and in
// the same order, it may well be back before the other has moved. Waits with a time limit end by themselves:
// they count for neither, but what is taken while holding such a lock does.
//
// The graph is as large as what the program does: a node a lock that was taken, an arrow a pair. One lock
// guards it, so threads go slower when it is on.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <source_location>
#include <string>
#include <vector>

namespace confab::threads {

/// What was found.
struct lock_problem {
    enum class Kind { inversion, deadlock };

    /// One arrow of the circle: a thread held one lock and took, or waits for, the one that the next step
    /// begins with. The last leads back to the first. The thread that found the problem comes first.
    struct Step {
        std::uint32_t thread;  // the kernel's number of it
        std::string held;      // the lock's name, or "mutex" and its address
        std::source_location held_at;
        std::string wanted;
        std::source_location wanted_at;
    };

    Kind kind;
    std::vector<Step> steps;

    /// Lines for people; see above.
    std::string text() const;
};

/// Turns it on or off; the environment variable CONFAB_LOCK_ORDER=1 turns it on from the beginning. Locks
/// that are held at that moment are not known. Any thread.
void watch_lock_order(bool on) noexcept;

/// Called in the thread that wants a lock, before it waits for it, for each problem found. It may lock; what
/// it throws, lock() throws, without having taken the lock.
using lock_problem_handler = std::function<void(const lock_problem&)>;

/// Who is told. An empty handler, as at first: the text goes to standard error. Any thread.
void on_lock_problem(lock_problem_handler handler);

namespace detail {

struct lock_node;
inline constinit std::atomic<bool> lock_order_watched = false;

// The part of a lock that the graph knows it by.
struct watched_lock {
    constexpr watched_lock() = default;
    explicit constexpr watched_lock(const char* lock_name) : name(lock_name) {}
    watched_lock(const watched_lock&) = delete;
    watched_lock& operator=(const watched_lock&) = delete;
    constexpr ~watched_lock() {
        if (node.load(std::memory_order_relaxed) != nullptr) forget();
    }

    void prepare();  // first of all: makes room, so that taken() cannot fail
    // Without a time limit: looks for an inversion.
    void about_to_take(const std::source_location& where);
    // When it turns out that it has to wait: looks for a deadlock, and throws if there is one.
    void about_to_wait(const std::source_location& where);
    void taken(const std::source_location& where) noexcept;
    void about_to_give_back() noexcept;
    void forget() noexcept;

    const char* name = nullptr;
    std::atomic<lock_node*> node = nullptr;  // made when it is first taken while watched
};

}  // namespace detail

/// Whether it is on.
inline bool lock_order_is_watched() { return detail::lock_order_watched.load(std::memory_order_relaxed); }

}  // namespace confab::threads
