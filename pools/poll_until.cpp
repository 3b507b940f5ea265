#include "pools/poll_until.hpp"

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <system_error>

namespace confab {

bool poll_until(std::span<pollfd> descriptors, Instant deadline) {
    while (true) {
        timespec left{};
        const timespec* limit = nullptr;
        if (deadline != never) {
            const Duration rest = deadline == Instant::min()
                                      ? Duration::zero()
                                      : std::max(Duration::zero(), deadline - Clock::now());
            const auto seconds = std::chrono::floor<std::chrono::seconds>(rest);
            left = {.tv_sec = seconds.count(), .tv_nsec = (rest - seconds).count()};
            limit = &left;
        }
        const int ready = ::ppoll(descriptors.data(), descriptors.size(), limit, nullptr);
        if (ready >= 0) return ready > 0;
        if (errno != EINTR) throw std::system_error(errno, std::system_category(), "ppoll");
    }
}

bool readable_until(int descriptor, Instant deadline) {
    pollfd one{.fd = descriptor, .events = POLLIN, .revents = 0};
    return poll_until({&one, 1}, deadline);
}

}  // namespace confab
