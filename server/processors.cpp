#include "server/processors.hpp"

#include <sched.h>

#include <cerrno>
#include <system_error>

namespace confab {

std::vector<int> usable_processors() {
    cpu_set_t set;
    if (::sched_getaffinity(0, sizeof set, &set) != 0) {
        throw std::system_error(errno, std::generic_category(), "sched_getaffinity");
    }
    std::vector<int> usable;
    for (int processor = 0; processor < CPU_SETSIZE; ++processor) {
        if (CPU_ISSET(processor, &set)) usable.push_back(processor);
    }
    return usable;
}

std::vector<int> processors_of(std::span<const int> usable, unsigned worker, unsigned threads) {
    std::vector<int> own;
    for (std::size_t i = 0; i < threads; ++i) {
        own.push_back(usable[(std::size_t{worker} * threads + i) % usable.size()]);
    }
    return own;
}

bool stay_on(std::span<const int> processors) {
    cpu_set_t set;
    CPU_ZERO(&set);
    for (const int processor : processors) CPU_SET(processor, &set);
    return ::sched_setaffinity(0, sizeof set, &set) == 0;
}

}  // namespace confab
