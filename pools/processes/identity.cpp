#include "pools/processes/identity.hpp"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <string_view>
#include <system_error>

#include "pools/fd.hpp"

namespace confab::processes {
namespace {

[[noreturn]] void refuse(int error, const char* what) {
    throw std::system_error(error, std::system_category(), what);
}

struct Stat {
    int error = 0;  // why there is none
    char state = 0;
    std::uint64_t threads = 0;
    std::uint64_t started = 0;

    // A main thread that has ended is a zombie as long as others go on.
    bool runs() const { return state != 'X' && (state != 'Z' || threads > 1); }
};

// Does not allocate: it is asked while memory is short, and in children of a fork.
Stat read_stat(std::int32_t pid) noexcept {
    std::array<char, 32> path;
    std::snprintf(path.data(), path.size(), "/proc/%d/stat", pid);
    const Fd file(::open(path.data(), O_RDONLY | O_CLOEXEC));
    if (!file) return {.error = errno};
    std::array<char, 1024> text;  // 52 numbers and a name of 64 bytes at most; those we want come early
    ssize_t length = 0;
    do {
        length = ::read(file.get(), text.data(), text.size());
    } while (length < 0 && errno == EINTR);
    if (length < 0) return {.error = errno};

    // "PID (NAME) STATE ...", where the name may hold anything, parentheses and spaces too: look from its
    // end.
    std::string_view rest(text.data(), static_cast<std::size_t>(length));
    const std::size_t name_end = rest.rfind(')');
    if (name_end == std::string_view::npos || name_end + 2 >= rest.size()) return {.error = EPROTO};
    rest.remove_prefix(name_end + 2);
    Stat stat{.state = rest.front()};
    constexpr int state_field = 3, threads_field = 20, started_field = 22;  // as proc(5) numbers them
    for (int field = state_field; field < started_field; ++field) {
        const std::size_t space = rest.find(' ');
        if (space == std::string_view::npos) return {.error = EPROTO};
        rest.remove_prefix(space + 1);
        if (field + 1 == threads_field) std::from_chars(rest.data(), rest.data() + rest.size(), stat.threads);
    }
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), stat.started);
    return error == std::errc() ? stat : Stat{.error = EPROTO};
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
    const Stat stat = read_stat(pid);
    if (stat.error != 0) refuse(stat.error, "/proc/self/stat");
    memo.started.store(stat.started, std::memory_order_relaxed);
    memo.pid.store(pid, std::memory_order_release);
    return {pid, stat.started};
}

std::optional<identity> identity::of(std::int32_t pid) {
    const Stat stat = read_stat(pid);
    if (stat.error == ENOENT || stat.error == ESRCH) return std::nullopt;
    if (stat.error != 0) refuse(stat.error, "/proc/PID/stat");
    if (!stat.runs()) return std::nullopt;
    return identity{pid, stat.started};
}

bool identity::alive() const noexcept {
    if (pid <= 0) return false;
    const Stat stat = read_stat(pid);
    if (stat.error == 0) return stat.runs() && stat.started == started;
    if (stat.error == ESRCH) return false;  // it ended between open and read
    // ENOENT, too, may mean only that /proc hides it from us (hidepid).
    return ::kill(pid, 0) == 0 || errno == EPERM;
}

}  // namespace confab::processes
