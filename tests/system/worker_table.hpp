// Internal to tests: the table of processes that SIGUSR1 prints, read back.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "tests/system/server_process.hpp"

namespace confab::system_tests {

// One of its lines.
struct Row {
    std::string place;
    pid_t pid = 0;
    std::string state;
    long long age = 0;
    std::size_t connections = 0;
    std::size_t served = 0;
    std::size_t receives = 0;
    double processor_seconds = -1;
    std::size_t memory = 0;
    unsigned restarts = 0;
    std::string last_end;
};
using Table = std::vector<Row>;

// Asks for it.
Table table_of(ServerProcess& server);

// Looks at the table again and again until it is as wanted; fails the test when that takes too long.
Table wait_for_table(ServerProcess& server, const std::function<bool(const Table&)>& accepts);

bool all_ready(const Table& table);
std::set<pid_t> pids_of(const Table& table);
std::size_t connections_in(const Table& table);
std::size_t receives_in(const Table& table);

}  // namespace confab::system_tests
