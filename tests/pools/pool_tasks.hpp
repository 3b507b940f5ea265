// Internal to tests: tasks for pools of threads and of processes.
#pragma once

#include <sched.h>

#include <atomic>
#include <stdexcept>
#include <vector>

#include "pools/processes/shared_memory.hpp"

namespace confab {

/// What tests and workers see both. Made before any launcher, so at the same address in all of them.
struct Board {
    std::atomic<int> begun, ended, initialized, open;
};
inline const processes::shared<Board> board;
inline void wipe_board() {
    Board& all = *board;
    all.begun = all.ended = all.initialized = all.open = 0;
}

inline int square(int n) { return n * n; }

inline int square_but_not_three(int n) {
    if (n == 3) throw std::range_error("three");
    return n * n;
}

/// Holds a worker until the board says open.
inline int hold(int value) {
    ++board->begun;
    while (board->open == 0) ::sched_yield();
    ++board->ended;
    return value;
}

/// All results of an imap.
template <class Mapping>
std::vector<int> drain(Mapping& results) {
    std::vector<int> values;
    while (const auto value = results.next()) values.push_back(*value);
    return values;
}

}  // namespace confab
