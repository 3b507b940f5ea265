#include "tests/system/children.hpp"

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <fstream>
#include <string>

#include "tests/system/patience.hpp"

namespace confab::system_tests {

void Stranger::kill() const {
    const long sent = ::syscall(SYS_pidfd_send_signal, handle_.get(), SIGKILL, nullptr, 0);
    REQUIRE((sent == 0 || errno == ESRCH));
}

bool Stranger::ends() const { return wait_for(handle_.get(), POLLIN, Deadline()); }

std::vector<Stranger> children_of(pid_t pid) {
    const std::string text = std::to_string(pid);
    std::ifstream file("/proc/" + text + "/task/" + text + "/children");
    std::vector<Stranger> children;
    for (pid_t child = 0; file >> child;) {
        UniqueFd handle(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
        if (handle.is_open()) children.emplace_back(child, std::move(handle));  // or it has ended by now
    }
    return children;
}

}  // namespace confab::system_tests
