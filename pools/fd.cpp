#include "pools/fd.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace confab {

Fd::~Fd() {
    // Nothing can be done about an error here, and on Linux the descriptor is gone in any case (close(2)).
    if (fd_ >= 0) ::close(fd_);
}

Fd above_standard_streams(Fd fd) {
    if (!fd || fd.get() > STDERR_FILENO) return fd;
    Fd higher(::fcntl(fd.get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
    if (!higher) throw std::system_error(errno, std::system_category(), "fcntl");
    return higher;
}

}  // namespace confab
