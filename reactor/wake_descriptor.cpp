#include "reactor/wake_descriptor.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <system_error>

namespace confab {

Fd make_wake_descriptor() {
    Fd fd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    if (!fd) throw std::system_error(errno, std::system_category(), "eventfd");
    return fd;
}

void write_wake_descriptor(const Fd& fd) noexcept {
    const std::uint64_t one = 1;
    // EAGAIN: the counter is full, so the sleeper has been woken already.
    while (::write(fd.get(), &one, sizeof one) < 0 && errno == EINTR) {
    }
}

void clear_wake_descriptor(const Fd& fd) noexcept {
    std::uint64_t count = 0;
    // EAGAIN: it was a false alarm.
    while (::read(fd.get(), &count, sizeof count) < 0 && errno == EINTR) {
    }
}

}  // namespace confab
