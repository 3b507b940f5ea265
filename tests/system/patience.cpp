#include "tests/system/patience.hpp"

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace confab::system_tests {

int Deadline::milliseconds_left() const {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end_ - std::chrono::steady_clock::now());
    return static_cast<int>(std::max<std::chrono::milliseconds::rep>(0, left.count()));
}

bool wait_for_any(std::span<pollfd> watched, const Deadline& deadline) {
    for (;;) {
        const int ready = ::poll(watched.data(), watched.size(), deadline.milliseconds_left());
        if (ready > 0) return true;
        if (ready == 0) return false;
        if (errno != EINTR) throw std::system_error(errno, std::generic_category(), "poll");
    }
}

bool wait_for(int fd, short events, const Deadline& deadline) {
    pollfd watched{.fd = fd, .events = events, .revents = 0};
    return wait_for_any({&watched, 1}, deadline);
}

}  // namespace confab::system_tests
