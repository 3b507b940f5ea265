// Internal to reactor: system calls that are counted, repeated on EINTR, and return -errno.
#pragma once

#include <cerrno>

#include "reactor/ledger.hpp"

namespace confab::system_calls {

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
