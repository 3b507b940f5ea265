// Internal to server: a file that says which process serves.
#pragma once

#include <string>

#include "pools/fd.hpp"

namespace confab {

/// A file with the number of this process, held by a lock that ends with the process, however that ends: so a
/// file that was left behind is known from one whose process lives. Children that are forked do not have the
/// lock (fcntl(2)), and must not run the destructor.
class PidFile {
  public:
    /// Makes the file, or takes over one that was left behind. Throws std::runtime_error with a sentence that
    /// says what and why ("the pidfile /run/confab.pid is held by process 123, which runs").
    explicit PidFile(std::string path);
    PidFile(const PidFile&) = delete;
    PidFile& operator=(const PidFile&) = delete;
    ~PidFile() { remove(); }

    /// Leaves the file to the next process, which may take it over from here on.
    void leave();
    /// Removes the file; that it cannot is logged, and no harm. Once is enough.
    void remove() noexcept;

  private:
    bool lock();
    void write() const;

    std::string path_;  // empty: removed
    Fd file_;
};

}  // namespace confab
