// Internal to server: the signals that a server hears.
#pragma once

#include <csignal>
#include <cstdint>
#include <optional>

#include "pools/fd.hpp"

namespace confab {

/// What a server is asked by a signal. The same under every strategy; docs/operations.md has the table.
enum class Asked : std::uint8_t {
    to_end,      ///< SIGTERM, SIGINT, and a terminal that hangs up
    to_report,   ///< SIGUSR1
    to_quit,     ///< SIGQUIT
    to_reload,   ///< SIGHUP that somebody sent
    to_upgrade,  ///< SIGUSR2
    for_more,    ///< SIGTTIN
    for_fewer,   ///< SIGTTOU
    about_child  ///< SIGCHLD: nobody asks anything, but a child has ended
};

/// Blocks these signals in the calling thread, and so in all that it starts later, and has them to read from
/// a descriptor: no handler runs, so none can interrupt anything.
class Signals {
  public:
    /// Throws std::system_error when there is no descriptor.
    Signals();

    /// Readable when there is something to hear.
    int descriptor() const { return descriptor_.get(); }
    /// What has been asked, one at a time; nothing: no more for now. Never waits.
    std::optional<Asked> next();

    /// In a forked child that is to become another program: lets all of them be, as that expects.
    static void let_be();

    /// In a forked child, which hears no signals of its parent's: closes the descriptor, and lets SIGCHLD be.
    /// The others stay blocked: what the child becomes hears SIGTERM and SIGUSR1 in its own way, and a
    /// terminal sends SIGINT to all processes, but it is the parent that sees to it.
    void leave_to_parent();

  private:
    std::optional<Asked> meaning_of(int signal, int code) const;

    Fd descriptor_;
    bool ignores_hangup_;  // started by nohup(1): a terminal that hangs up means nothing to it
};

}  // namespace confab
