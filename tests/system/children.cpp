#include "tests/system/children.hpp"

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <system_error>

#include "tests/system/patience.hpp"

namespace confab::system_tests {

void Stranger::signal(int number) const {
    const long sent = ::syscall(SYS_pidfd_send_signal, handle_.get(), number, nullptr, 0);
    REQUIRE((sent == 0 || errno == ESRCH));
}

bool Stranger::ends() const { return wait_for(handle_.get(), POLLIN, Deadline()); }

std::vector<Stranger> children_of(pid_t pid) {
    std::vector<Stranger> children;
    for (const pid_t child : child_pids_of(pid)) {
        UniqueFd handle(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
        if (handle.is_open()) children.emplace_back(child, std::move(handle));  // or it has ended by now
    }
    return children;
}

std::vector<pid_t> child_pids_of(pid_t pid) {
    const std::string text = std::to_string(pid);
    std::ifstream file("/proc/" + text + "/task/" + text + "/children");
    std::vector<pid_t> children;
    for (pid_t child = 0; file >> child;) children.push_back(child);
    return children;
}

std::vector<pid_t> threads_of(pid_t pid) {
    std::vector<pid_t> threads;
    std::error_code gone;
    for (const auto& entry :
         std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task", gone))
        threads.push_back(std::stoi(entry.path().filename()));
    return threads;
}

char state_of(pid_t pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    std::string line;
    if (!std::getline(file, line)) return 0;
    const std::size_t name_end = line.rfind(')');  // it is in parentheses, and may hold anything
    return line.at(name_end + 2);
}

std::string status_field(pid_t pid, const std::string& field) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/status");
    std::string line;
    while (std::getline(file, line)) {
        if (!line.starts_with(field + ':')) continue;
        std::istringstream words(line.substr(field.size() + 1));
        std::string joined;
        for (std::string word; words >> word;) joined += (joined.empty() ? "" : " ") + word;
        return joined;
    }
    return {};
}

}  // namespace confab::system_tests
