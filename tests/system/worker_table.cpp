#include "tests/system/worker_table.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <csignal>
#include <optional>
#include <sstream>

#include "tests/system/patience.hpp"

namespace confab::system_tests {
namespace {

Row parse_row(const std::string& line) {
    Row row;
    std::istringstream text(line);
    text >> row.place >> row.pid >> row.state >> row.age >> row.connections >> row.served >> row.receives >>
        row.processor_seconds >> row.memory >> row.restarts >> std::ws;
    std::getline(text, row.last_end);
    REQUIRE(!row.last_end.empty());
    return row;
}

bool is_heading(const std::string& line) { return line.starts_with("processes that serve: "); }

}  // namespace

Table table_of(ServerProcess& server) {
    const std::vector<std::string> before = server.child().said();
    auto older = std::ranges::count_if(before, is_heading);
    std::optional<std::size_t> rows;
    std::vector<std::string> lines;
    server.child().signal(SIGUSR1);
    server.child().wait_for_said(
        [&](const std::string& line) {
            if (rows) {
                lines.push_back(line);
            } else if (is_heading(line) && older-- == 0) {
                rows = std::stoul(line.substr(line.find(": ") + 2)) + 1;  // and what the columns are
            }
            return rows && lines.size() == *rows;
        },
        "a table of its processes");
    Table table;
    for (const std::string& line : std::vector(lines.begin() + 1, lines.end()))
        table.push_back(parse_row(line));
    return table;
}

Table wait_for_table(ServerProcess& server, const std::function<bool(const Table&)>& accepts) {
    const Deadline deadline;
    while (true) {
        Table table = table_of(server);
        if (accepts(table)) return table;
        REQUIRE(deadline.milliseconds_left() > 0);
    }
}

bool all_ready(const Table& table) {
    return std::ranges::all_of(table, [](const Row& row) { return row.state == "ready"; });
}

std::set<pid_t> pids_of(const Table& table) {
    std::set<pid_t> pids;
    for (const Row& row : table) pids.insert(row.pid);
    return pids;
}

std::size_t connections_in(const Table& table) {
    std::size_t sum = 0;
    for (const Row& row : table) sum += row.connections;
    return sum;
}

std::size_t receives_in(const Table& table) {
    std::size_t sum = 0;
    for (const Row& row : table) sum += row.receives;
    return sum;
}

}  // namespace confab::system_tests
