#include "pools/thread_number.hpp"

#include <pthread.h>
#include <unistd.h>

#include <system_error>

namespace confab::detail {

std::uint32_t find_thread_number() {
    static const int forgotten_by_children = ::pthread_atfork(nullptr, nullptr, [] { thread_number = 0; });
    if (forgotten_by_children != 0)
        throw std::system_error(forgotten_by_children, std::system_category(), "pthread_atfork");
    return thread_number = static_cast<std::uint32_t>(::gettid());
}

}  // namespace confab::detail
