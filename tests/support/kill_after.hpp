// Internal to tests: a process that is killed between two instructions.
#pragma once

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>

namespace confab {

/// Forks a process that does `what`; from where that calls `begin` it is let run so many instructions, and is
/// killed. False: it got to the end.
inline bool kill_after(long instructions,
                       const std::function<void(const std::function<void()>& begin)>& what) {
    const pid_t pid = ::fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
        what([] {
            ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
            ::raise(SIGSTOP);
        });
        std::_Exit(0);
    }
    int status = 0;
    REQUIRE(::waitpid(pid, &status, 0) == pid);
    REQUIRE(WIFSTOPPED(status));
    while (WIFSTOPPED(status) && instructions-- > 0) {
        REQUIRE(::ptrace(PTRACE_SINGLESTEP, pid, nullptr, nullptr) == 0);
        REQUIRE(::waitpid(pid, &status, 0) == pid);
    }
    if (!WIFSTOPPED(status)) return false;
    ::kill(pid, SIGKILL);
    REQUIRE(::waitpid(pid, &status, 0) == pid);
    return true;
}

}  // namespace confab
