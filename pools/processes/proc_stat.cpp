#include "pools/processes/proc_stat.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <string_view>
#include <system_error>

namespace confab::processes {

ProcStat read_proc_stat(const char* path) noexcept {
    const Fd file(::open(path, O_RDONLY | O_CLOEXEC));
    if (!file) return {.error = errno};
    return read_proc_stat(file);
}

ProcStat read_proc_stat(const Fd& file) noexcept {
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
    ProcStat stat{.state = rest.front()};
    constexpr int state = 3, parent = 4, flags = 9, threads = 20, started = 22;  // as proc_pid_stat(5) counts
    for (int field = state + 1; field <= started; ++field) {
        const std::size_t space = rest.find(' ');
        if (space == std::string_view::npos) return {.error = EPROTO};
        rest.remove_prefix(space + 1);
        const auto parse = [end = text.data() + length, rest](auto& number) {
            return std::from_chars(rest.begin(), end, number).ec == std::errc();
        };
        const bool is_right = field == parent    ? parse(stat.parent)
                              : field == flags   ? parse(stat.flags)
                              : field == threads ? parse(stat.threads)
                              : field == started ? parse(stat.started)
                                                 : true;
        if (!is_right) return {.error = EPROTO};
    }
    return stat;
}

}  // namespace confab::processes
