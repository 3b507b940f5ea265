// Internal to tests: a forked process, for tests of what processes share.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <exception>
#include <functional>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

namespace confab {

/// The state of a process or, with a thread's number, of a thread as /proc shows it: 'R', 'S' asleep, 'Z' a
/// zombie; 0 when there is none. One that has nothing else to wait for and is asleep waits where the test
/// wants it.
inline char state_of(pid_t id) {
    std::array<char, 512> text = {};
    const std::string path = "/proc/" + std::to_string(id) + "/stat";
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    const ssize_t length = ::read(file, text.data(), text.size());
    ::close(file);
    const std::string_view stat(text.data(), length > 0 ? static_cast<std::size_t>(length) : 0);
    const std::size_t name_end = stat.rfind(')');
    return name_end != std::string_view::npos && name_end + 2 < stat.size() ? stat[name_end + 2] : '\0';
}

inline bool is_asleep(pid_t id) { return state_of(id) == 'S'; }

/// Returns when `condition()` is true. The test's own time limit is its way out.
template <class Condition>
void until(Condition condition) {
    while (!condition()) std::this_thread::yield();
}

/// Runs `body` in a forked process and ends it with what that gives, or 99 when it throws; nothing else of
/// the test goes on there. Killed, if it still runs, when this object dies or the test does.
class Child {
  public:
    explicit Child(const std::function<int()>& body) {
        std::fflush(nullptr);
        pid_ = ::fork();
        if (pid_ < 0) throw std::system_error(errno, std::system_category(), "fork");
        if (pid_ > 0) return;
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        int code = 99;
        try {
            code = body();
        } catch (const std::exception& error) {
            std::fprintf(stderr, "child: %s\n", error.what());
        }
        std::fflush(nullptr);
        ::_exit(code);
    }
    Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, 0)) {}
    Child& operator=(Child&& other) = delete;
    ~Child() {
        if (pid_ == 0) return;
        send(SIGKILL);
        join();
    }

    pid_t pid() const { return pid_; }
    void send(int signal) const { ::kill(pid_, signal); }

    /// Waits for its end: its exit code, or minus the signal that killed it. It is reaped then.
    int join() {
        int status = 0;
        while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
        }
        pid_ = 0;
        return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
    }

    /// Kills it as nothing else can, and waits until it is a zombie; it is not reaped yet.
    void kill_and_leave() const {
        send(SIGKILL);
        siginfo_t ended = {};
        while (::waitid(P_PID, static_cast<id_t>(pid_), &ended, WEXITED | WNOWAIT) < 0 && errno == EINTR) {
        }
    }

    int kill() {
        send(SIGKILL);
        return join();
    }

    void until_asleep() const {
        until([this] { return is_asleep(pid_); });
    }

  private:
    pid_t pid_ = 0;
};

}  // namespace confab
