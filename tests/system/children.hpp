// Internal to tests: processes that the server has forked.
#pragma once

#include <sys/types.h>

#include <csignal>
#include <string>
#include <utility>
#include <vector>

#include "tests/system/unique_fd.hpp"

namespace confab::system_tests {

// A process that is not ours, held so that its number cannot become another's.
class Stranger {
  public:
    Stranger(pid_t pid, UniqueFd handle) : pid_(pid), handle_(std::move(handle)) {}

    pid_t pid() const { return pid_; }
    // Without effect when it has ended.
    void signal(int number) const;
    void kill() const { signal(SIGKILL); }
    // Waits for its end; false when all patience is over before.
    [[nodiscard]] bool ends() const;

  private:
    pid_t pid_;
    UniqueFd handle_;
};

// Those that are there now; the numbers also of zombies.
std::vector<Stranger> children_of(pid_t pid);
std::vector<pid_t> child_pids_of(pid_t pid);

// The numbers of its threads that are there now.
std::vector<pid_t> threads_of(pid_t pid);

// The letter of its state in proc_pid_stat(5); 0 when there is none.
char state_of(pid_t pid);

// What proc_pid_status(5) says of a process or a thread after `Field:`, its words one space apart; empty when
// there is no such field, or nobody has that number any more.
std::string status_field(pid_t pid, const std::string& field);

}  // namespace confab::system_tests
