#include "pools/processes/identity.hpp"

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <system_error>

#include "pools/processes/proc_stat.hpp"

namespace confab::processes {
namespace {

[[noreturn]] void refuse(int error, const char* what) {
    throw std::system_error(error, std::system_category(), what);
}

// A main thread that has ended is a zombie as long as others go on.
bool runs(const ProcStat& stat) { return stat.state != 'X' && (stat.state != 'Z' || stat.threads > 1); }

ProcStat stat_of(std::int32_t pid) noexcept {
    std::array<char, 32> path;
    std::snprintf(path.data(), path.size(), "/proc/%d/stat", pid);
    return read_proc_stat(path.data());
}

// The kernel hands a page of zeros to the child of a fork, whichever call made it, so an identity that is
// kept there is never the parent's.
struct Kept {
    std::atomic<std::uint64_t> started;
    std::atomic<std::int32_t> pid;  // 0 until `started` is there
};

Kept& kept() {
    static Kept* const page = [] {
        void* const made =
            ::mmap(nullptr, sizeof(Kept), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (made == MAP_FAILED) refuse(errno, "mmap");
        if (::madvise(made, sizeof(Kept), MADV_WIPEONFORK) < 0) refuse(errno, "madvise");
        return static_cast<Kept*>(made);  // for the life of the process
    }();
    return *page;
}

}  // namespace

identity identity::mine() {
    Kept& memo = kept();
    const std::int32_t known = memo.pid.load(std::memory_order_acquire);
    if (known != 0) return {known, memo.started.load(std::memory_order_relaxed)};
    const std::int32_t pid = ::getpid();
    const ProcStat stat = stat_of(pid);
    if (stat.error != 0) refuse(stat.error, "/proc/self/stat");
    memo.started.store(stat.started, std::memory_order_relaxed);
    memo.pid.store(pid, std::memory_order_release);
    return {pid, stat.started};
}

std::optional<identity> identity::of(std::int32_t pid) {
    const ProcStat stat = stat_of(pid);
    if (stat.error == ENOENT || stat.error == ESRCH) return std::nullopt;
    if (stat.error != 0) refuse(stat.error, "/proc/PID/stat");
    if (!runs(stat)) return std::nullopt;
    return identity{pid, stat.started};
}

bool identity::alive() const noexcept {
    if (pid <= 0) return false;
    const ProcStat stat = stat_of(pid);
    if (stat.error == 0) return runs(stat) && stat.started == started;
    if (stat.error == ESRCH) return false;  // it ended between open and read
    // ENOENT, too, may mean only that /proc hides it from us (hidepid).
    return ::kill(pid, 0) == 0 || errno == EPERM;
}

}  // namespace confab::processes
