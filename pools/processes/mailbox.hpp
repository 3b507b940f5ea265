// Internal to pools: where a pool and one of its processes hand each other a task and its result.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <span>
#include <stop_token>
#include <vector>

#include "pools/connection.hpp"
#include "pools/futex.hpp"
#include "pools/patience.hpp"
#include "pools/serialise.hpp"

namespace confab::processes {

/// How a task is run, the same at the same address in all processes of a program.
struct TaskEntry {
    void (*run)(byte_reader& arguments, const std::stop_token& stop, byte_writer& result);
};

/// Shared memory of one thread of the program and one worker process. It is always the turn of one of them;
/// who has it may write everything, and gives it to the other by one word. Neither makes a system call as
/// long as the other answers soon. What does not fit goes through a pipe beside it.
///
/// Killed in its turn, a worker cannot give it back: the thread that hears of deaths does (`bury`), and
/// leaves to be seen whether the worker had taken the task.
struct Mailbox {
    enum Turn : std::uint32_t {
        working,       // the worker's: it is about to be ready, or has taken a task
        idle,          // the program's: there is no task
        request,       // the worker's, which does not know yet
        reply,         // the program's
        quit,          // the worker's: it shall end
        dead_working,  // the program's, for good
        dead_untaken,  // the same, and the task was never looked at
    };
    enum class Kind : std::uint8_t { value, exception };
    static constexpr std::size_t room = std::size_t{32} * 1024;

    FutexWord turn = working;
    std::atomic<std::uint32_t> sleeping = 0;  // those that sleep on `turn`, or are about to
    Kind kind = Kind::value;                  // of a reply
    bool is_in_pipe = false;
    std::uint64_t entry = 0;  // of a request: address of a TaskEntry
    std::uint64_t size = 0;
    std::array<std::byte, room> bytes;

    /// Gives the turn away. False: it was not `from`.
    bool pass(Turn from, Turn to) {
        std::uint32_t expected = from;
        if (!turn.compare_exchange_strong(expected, to)) return false;
        if (sleeping != 0) futex_wake(turn, 1, FutexScope::processes);
        return true;
    }

    /// Waits while `goes_on(turn)`, and until a stop is requested, and gives what it is then.
    template <class GoesOn>
    Turn wait_while(GoesOn goes_on, Patience& patience, const std::stop_token& stop = {}) {
        const auto now = [this] { return static_cast<Turn>(turn.load()); };
        if (patience.is_worthwhile()) {
            patience.learn(Patience::watch([&] { return !goes_on(now()) || stop.stop_requested(); }));
        }
        while (true) {
            Turn seen = now();
            if (!goes_on(seen) || stop.stop_requested()) return seen;
            ++sleeping;
            seen = now();  // whoever changes it after this sees a sleeper
            if (goes_on(seen)) {
                if (stop.stop_possible()) {
                    futex_wait(turn, seen, FutexScope::processes, stop);
                } else {
                    futex_wait(turn, seen, FutexScope::processes);
                }
            }
            --sleeping;
        }
    }

    /// Writes the content. Requires: our turn. When it `is_in_pipe` then, it is to be sent after the turn is
    /// given.
    void put(std::span<const std::byte> content);

    /// In the program: the worker is dead.
    void bury();
};

/// A worker process's whole life: runs `initializer`, if any, says that it is ready, or what that threw, and
/// then does tasks until it is told to quit or asked to stop.
int run_pool_worker(const std::stop_token& stop, Mailbox& mailbox, connection pipe, void (*initializer)());

}  // namespace confab::processes
