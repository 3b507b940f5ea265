#include "server/scoreboard.hpp"

#include <new>

namespace confab {

Scoreboard::Scoreboard(std::size_t lines) : memory_(lines * sizeof(WorkerLine)) {
    // Zeros are what a line begins with, so those that are never used need never be touched.
    lines_ = {std::launder(reinterpret_cast<WorkerLine*>(memory_.bytes().data())), lines};
}

std::size_t Scoreboard::connections() const {
    std::size_t sum = 0;
    for (const WorkerLine& line : lines_) sum += line.connections.load(std::memory_order_seq_cst);
    return sum;
}

}  // namespace confab
