// Internal to server: one generation of the program after the other, on the same listeners.
//
// A successor is the program that lies where this one was started from, with the same arguments. It is given
// the listeners and a channel (server/feed.hpp) by an environment variable, and says over it when it is
// ready. Then its predecessor sends it the connections that it has accepted and nobody serves yet, lets go of
// the pidfile, and closes the channel: from then on the successor is the server. One that ends before it is
// ready has changed nothing; until then it ends with its predecessor.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "pools/fd.hpp"
#include "server/pid_file.hpp"
#include "server/service_manager.hpp"

namespace confab {

/// One thread; nothing here waits, but for what says so.
class Succession {
  public:
    using Clock = std::chrono::steady_clock;

    /// Takes what a predecessor has put into the environment. Without one it makes the pidfile at once
    /// (empty: there is to be none), and throws as PidFile does. Requires: the program has one thread.
    explicit Succession(std::string pid_file);
    Succession(const Succession&) = delete;
    Succession& operator=(const Succession&) = delete;

    // As the one who comes.

    bool has_predecessor() const { return static_cast<bool>(predecessor_); }
    /// The numbers of the descriptors, which are the caller's.
    const std::vector<int>& listeners() const { return listeners_; }
    /// True exactly when the files of Unix sockets are this program's to remove from here on.
    bool owns_files() const { return owns_files_; }
    /// Says that all is ready, waits until the predecessor has let go, a few seconds at most, and makes the
    /// pidfile, as the constructor. Gives the connections that it had. Nothing without a predecessor.
    std::deque<Fd> take_over();

    // As the one who goes.

    /// Starts a successor that has until `limit` to be ready. Throws std::system_error. Requires: the program
    /// has one thread, and there is no successor.
    void start_successor(std::span<const int> listeners, bool owns_files, const ServiceManager& manager,
                         Clock::duration limit);
    /// 0: there is none.
    pid_t successor() const { return successor_; }
    /// Readable when the successor may be ready; -1: there is none.
    int descriptor() const { return channel_ ? channel_.get() : -1; }
    bool successor_is_ready() const;
    /// When it has taken too long; time_point::max() when there is none, or that has been seen to.
    Clock::time_point due() const { return due_; }
    void kill_successor();
    /// It has ended before it was ready.
    void successor_ended();
    /// It is the server from here on. A connection that it does not take is closed.
    void let_go(const std::deque<Fd>& connections);

    /// See PidFile.
    void remove_pid_file() noexcept;
    /// In a forked child, which has nothing to do with all this.
    void leave_to_parent() { channel_ = Fd(); }

  private:
    const std::string program_;
    const std::string pid_file_path_;
    std::optional<PidFile> pid_file_;
    std::vector<int> listeners_;
    bool owns_files_ = false;
    Fd predecessor_;
    Fd channel_;
    pid_t successor_ = 0;
    Clock::time_point due_ = Clock::time_point::max();
};

}  // namespace confab
