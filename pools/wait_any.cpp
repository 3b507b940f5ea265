#include "pools/wait_any.hpp"

#include <poll.h>

#include <algorithm>

#include "pools/poll_until.hpp"

namespace confab {

std::vector<std::size_t> wait_any(std::span<const waitable> list) { return wait_any_until(never, list); }

std::vector<std::size_t> wait_any_until(Instant deadline, std::span<const waitable> list) {
    std::vector<pollfd> descriptors;
    descriptors.reserve(list.size());
    for (const waitable& one : list) {
        descriptors.push_back({.fd = one.descriptor(), .events = POLLIN, .revents = 0});
    }
    poll_until(descriptors, std::ranges::any_of(list, &waitable::is_ready) ? Instant::min() : deadline);
    std::vector<std::size_t> ready;
    for (std::size_t place = 0; place < list.size(); ++place) {
        if (list[place].is_ready() || descriptors[place].revents != 0) ready.push_back(place);
    }
    return ready;
}

}  // namespace confab
