#include "pools/fd.hpp"

#include <unistd.h>

namespace confab {

Fd::~Fd() {
    // Nothing can be done about an error here, and on Linux the descriptor is gone in any case (close(2)).
    if (fd_ >= 0) ::close(fd_);
}

}  // namespace confab
