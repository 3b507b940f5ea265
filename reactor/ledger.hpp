// Public: what a reactor's work has cost, counted as it happens.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace confab {

enum class SystemCall : std::uint8_t {
    accept,
    connect,
    receive,
    send,
    shutdown,
    close,
    wait,     ///< epoll_wait, poll, select, sched_yield: waits and the collecting of events
    enter,    ///< io_uring_enter, whether it submits, waits or both
    control,  ///< epoll_ctl, setsockopt and other upkeep
    wake,     ///< reads and writes of the wake-up descriptor
};
inline constexpr std::size_t system_call_kinds = 10;

/// The name of a kind as it stands in reports.
const char* name(SystemCall kind);

/// A reactor's running totals. Written and read on the reactor's thread only; to look from elsewhere, post a
/// job that copies it.
struct Ledger {
    std::uint64_t turns = 0;     ///< iterations of the loop
    std::uint64_t events = 0;    ///< operations that the mechanism completed
    std::uint64_t receives = 0;  ///< receive operations that brought bytes
    std::uint64_t bytes_received = 0;
    std::uint64_t bytes_sent = 0;
    std::uint64_t allocations = 0;   ///< calls of operator new on the reactor's thread (0 if not counted)
    std::uint64_t frames_alive = 0;  ///< coroutine frames on the reactor's thread, now
    std::uint64_t buffers_exhausted = 0;  ///< receives that had to wait for a provided buffer (io_uring)
    std::uint64_t overflows = 0;          ///< completion queue overflows (io_uring)
    std::array<std::uint64_t, system_call_kinds> system_calls{};

    void count(SystemCall kind) { ++system_calls[static_cast<std::size_t>(kind)]; }
    std::uint64_t calls(SystemCall kind) const { return system_calls[static_cast<std::size_t>(kind)]; }
    std::uint64_t all_system_calls() const;

    /// Adds `other` to this, so that the reactors of a process can be summed.
    Ledger& operator+=(const Ledger& other);

    /// One line of JSON: {"turns":N,...,"system_calls":{"accept":N,...}}.
    std::string json() const;
};

}  // namespace confab
