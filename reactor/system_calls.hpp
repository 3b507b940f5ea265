// Internal to reactor: system calls that are counted, repeated on EINTR, and return -errno.
#pragma once

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>

#include "reactor/ledger.hpp"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define CONFAB_CALLS_BY_LIBRARY  // which tells the sanitizer what the kernel wrote, and who heard of it
#endif
#endif

namespace confab::system_calls {

/// As recv(2) and send(2), but no cancellation points of pthreads: where a process has threads, the library's
/// cost two atomic operations each, and nobody here is cancelled that way.
inline long receive(int fd, std::byte* buffer, std::size_t size, int flags) {
#ifdef CONFAB_CALLS_BY_LIBRARY
    return ::recv(fd, buffer, size, flags);
#else
    return ::syscall(SYS_recvfrom, fd, buffer, size, flags, nullptr, nullptr);
#endif
}
inline long send(int fd, const void* bytes, std::size_t size, int flags) {
#ifdef CONFAB_CALLS_BY_LIBRARY
    return ::send(fd, bytes, size, flags);
#else
    return ::syscall(SYS_sendto, fd, bytes, size, flags, nullptr, 0);
#endif
}

/// Calls `call()` until it is not interrupted; its result, or -errno. Each try is counted as `kind`.
template <class Call>
auto repeated(Ledger& ledger, SystemCall kind, Call call) -> decltype(call()) {
    while (true) {
        ledger.count(kind);
        const auto result = call();
        if (result >= 0) return result;
        if (errno != EINTR) return -errno;
    }
}

/// The same, once: for calls that a signal is meant to interrupt, and for close (see close(2), "Dealing with
/// EINTR").
template <class Call>
auto once(Ledger& ledger, SystemCall kind, Call call) -> decltype(call()) {
    ledger.count(kind);
    const auto result = call();
    return result >= 0 ? result : -errno;
}

}  // namespace confab::system_calls
