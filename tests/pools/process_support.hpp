// Internal to tests: what parent and child tell each other.
#pragma once

#include <doctest/doctest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <string>

#include "pools/fd.hpp"
#include "pools/futex.hpp"
#include "pools/poll_until.hpp"
#include "pools/processes/shared_memory.hpp"

namespace confab {

/// Bounds how long a failing test takes; no test's outcome depends on it otherwise.
inline constexpr auto patience = std::chrono::seconds(60);

/// Until it is killed.
inline void sleep_for_ever() {
    while (true) ::pause();
}

/// Waits for the end of the process behind a pidfd; false: not within the test's patience.
inline bool ends(const Fd& pidfd) { return readable_until(pidfd.get(), deadline_in(patience)); }

/// A flag that any process sets and any waits for. Made before the fork.
class Signal {
  public:
    void set() {
        *word_ = 1;
        futex_wake(*word_, wake_all, FutexScope::processes);
    }
    bool is_set() const { return *word_ == 1; }
    /// False: not within the test's patience.
    bool wait() const {
        const Instant deadline = deadline_in(patience);
        while (!is_set()) {
            if (!futex_wait(*word_, 0, FutexScope::processes, deadline)) return is_set();
        }
        return true;
    }

  private:
    processes::shared<FutexWord> word_;
};

/// What processes write, kept in memory: give its descriptor to dup2.
class Paper {
  public:
    Paper() : file_(::memfd_create("paper", MFD_CLOEXEC)) { REQUIRE(file_); }

    /// From here on this process writes to it instead of to `descriptor`.
    void replace(int descriptor) const { ::dup2(file_.get(), descriptor); }

    std::string text() const {
        std::string all;
        std::array<char, 4096> chunk{};
        ssize_t count = 0;
        while ((count = ::pread(file_.get(), chunk.data(), chunk.size(), static_cast<off_t>(all.size()))) >
               0) {
            all.append(chunk.data(), static_cast<std::size_t>(count));
        }
        return all;
    }

  private:
    Fd file_;
};

}  // namespace confab
