// Internal to bench: a server as a process of its own, and what it has used when it has ended.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "pools/clock.hpp"
#include "pools/fd.hpp"

namespace confab::compare {

/// Memory of a process and all its descendants.
struct Memory {
    std::uint64_t proportional_bytes = 0;  ///< PSS: pages that several share are divided among them
    std::uint64_t kernel_bytes = 0;        ///< page tables, and a stack for each thread
};

/// What a server and its children have used in their lives.
struct Usage {
    Duration user{}, system{};
    std::uint64_t switches = 0;     ///< voluntary: there was nothing to do
    std::uint64_t preemptions = 0;  ///< somebody else had to run
    /// The ledger that `serve --ledger` prints; empty when it did not.
    std::map<std::string, std::uint64_t> ledger;
    std::string complaint;  ///< how it ended, if not in peace
};

/// A server that listens on loopback. It ends with this object, and with the thread that made it. Its
/// terminal's Ctrl-C does not reach it. One thread uses it.
class ServerProcess {
  public:
    /// Starts `arguments` (the program's path first), which prints "listening on ADDR" on stderr when it is
    /// ready, and waits for that. Throws std::runtime_error, a sentence, when it does not come.
    explicit ServerProcess(const std::vector<std::string>& arguments);
    ServerProcess(const ServerProcess&) = delete;
    ServerProcess& operator=(const ServerProcess&) = delete;
    /// Kills it if it has not been ended.
    ~ServerProcess();

    pid_t pid() const { return pid_; }
    const std::string& address() const { return address_; }
    Memory memory() const;
    /// The busiest thread's share of the processor time that those who live have used, the first thread of
    /// each process included; NaN when there is none.
    double busiest_share() const;

    /// Ends it by SIGTERM; kills it when it takes longer than its own limit for that. Once.
    Usage end();

  private:
    bool read_more(Duration limit);
    void await_address();
    std::string last_line() const;
    Usage reap();

    pid_t pid_ = 0;  // 0: it has been waited for
    Fd errors_;      // what it says
    std::string said_;
    std::string address_;
};

}  // namespace confab::compare
