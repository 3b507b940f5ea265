// Internal to pools: a number for the thread that runs, quickly.
#pragma once

#include <cstdint>

namespace confab {

namespace detail {
// 0 until asked for, and again in the child of a fork, where the thread has another number.
inline constinit thread_local std::uint32_t thread_number = 0;
std::uint32_t find_thread_number();
}  // namespace detail

/// The kernel's number of this thread (gettid(2)): not 0, below 2^22, and no other's as long as it lives.
inline std::uint32_t this_thread_number() {
    const std::uint32_t known = detail::thread_number;
    return known != 0 ? known : detail::find_thread_number();
}

}  // namespace confab
