// Internal to tests: the real program as a child process.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <source_location>
#include <string>
#include <thread>
#include <vector>

#include "tests/system/strategy.hpp"
#include "tests/system/unique_fd.hpp"

namespace confab::system_tests {

struct ServerOptions {
    std::string app;
    std::vector<std::string> listen = {"127.0.0.1:0"};
    std::vector<std::string> flags = {};                    // after all others, so they win
    std::optional<rlim_t> descriptor_limit = std::nullopt;  // the child's RLIMIT_NOFILE
    std::optional<Strategy> strategy = std::nullopt;        // instead of the one under test
};

// How a process ended.
struct Exit {
    bool by_signal = false;
    int code = 0;  // the exit code, or the signal's number
    bool operator==(const Exit&) const = default;
};

// A child process and what it says on stderr. One thread uses it; a thread of its own reads the pipe, so that
// the child never waits for us. Its destructor kills a child that is still there, by the handle it was
// started with; when the running test case has failed, it prints what the child had said.
class Child {
  public:
    // The program with these arguments; environment variables of the program's own (CONFAB_*) are not passed
    // on.
    explicit Child(std::vector<std::string> arguments, std::optional<rlim_t> descriptor_limit = std::nullopt);
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;
    ~Child();

    pid_t pid() const { return pid_; }
    void signal(int number);

    // Fails the test when the child is still there after all patience (it is killed, then).
    Exit wait_for_exit(std::source_location where = std::source_location::current());

    // Waits a moment for its end; true exactly when it has ended.
    bool has_ended_within(std::chrono::milliseconds moment);

    // What it has said so far, in lines; all of it once wait_for_exit has returned.
    std::vector<std::string> said();

    // Waits for a line that the predicate accepts, from the first line on. Fails the test when the child
    // closes its stderr or all patience is over before there is one.
    std::string wait_for_said(const std::function<bool(const std::string&)>& accepts,
                              const std::string& description,
                              std::source_location where = std::source_location::current());

    // Waits for a line that starts so (true), or for the end of stderr without one (false). Fails the test
    // when neither comes.
    bool says_before_it_ends(const std::string& start,
                             std::source_location where = std::source_location::current());

  private:
    enum class Heard { line, end, nothing };
    struct Hearing {
        Heard heard;
        std::string line;
    };
    Hearing hear(const std::function<bool(const std::string&)>& accepts);
    void read_stderr();
    void print_said();

    pid_t pid_ = -1;
    UniqueFd handle_;  // a pidfd
    UniqueFd stderr_;
    std::optional<Exit> exit_;

    std::mutex mutex_;
    std::condition_variable said_more_;
    std::vector<std::string> lines_;  // guarded by mutex_
    bool is_silent_ = false;          // guarded by mutex_: true exactly when stderr has ended
    std::thread reader_;
};

// `confab serve`, ready for clients when constructed.
class ServerProcess {
  public:
    explicit ServerProcess(ServerOptions options,
                           std::source_location where = std::source_location::current());

    // Where the listener of that --listen is: "127.0.0.1:40123", "[::1]:40123", "unix:/tmp/x".
    const std::string& address(std::size_t listener = 0) const { return addresses_.at(listener); }

    Child& child() { return child_; }

    // SIGTERM, then: it must exit with 0.
    void stop(std::source_location where = std::source_location::current());

  private:
    Child child_;
    std::vector<std::string> addresses_;
};

// `confab serve` with these options, as arguments.
std::vector<std::string> serve_arguments(const ServerOptions& options);

}  // namespace confab::system_tests
