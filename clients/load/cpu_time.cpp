#include "clients/load/cpu_time.hpp"

#include <dirent.h>
#include <unistd.h>

#include <cstdio>
#include <ctime>
#include <fstream>
#include <string>
#include <vector>

namespace confab::load {

namespace {

Duration read_clock(clockid_t clock) {
    timespec time{};
    if (::clock_gettime(clock, &time) != 0) return Duration::zero();
    return std::chrono::seconds(time.tv_sec) + Duration(time.tv_nsec);
}

Duration ticks(long long count) { return std::chrono::seconds(1) * count / ::sysconf(_SC_CLK_TCK); }

std::string proc_path(pid_t process, const char* name) {
    return "/proc/" + std::to_string(process) + "/" + name;
}

Duration cpu_time_of_reaped_children(pid_t process) {
    std::ifstream file(proc_path(process, "stat"));
    std::string line;
    std::getline(file, line);
    const auto name_end = line.rfind(')');
    if (name_end == std::string::npos) return Duration::zero();
    long long user = 0, system = 0;
    // After the name: state and ten numbers, utime and stime, then what we want.
    if (std::sscanf(line.c_str() + name_end + 1,
                    " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %lld %lld", &user, &system) != 2) {
        return Duration::zero();
    }
    return ticks(user + system);
}

std::vector<pid_t> children_of(pid_t process) {
    std::vector<pid_t> children;
    const std::string tasks = proc_path(process, "task");
    DIR* const directory = ::opendir(tasks.c_str());
    if (directory == nullptr) return children;
    while (const dirent* const entry = ::readdir(directory)) {
        if (entry->d_name[0] == '.') continue;
        std::ifstream file(tasks + "/" + entry->d_name + "/children");
        for (pid_t child = 0; file >> child;) children.push_back(child);
    }
    ::closedir(directory);
    return children;
}

}  // namespace

Duration own_cpu_time() { return read_clock(CLOCK_PROCESS_CPUTIME_ID); }

Duration cpu_time_of(pid_t process) {
    if (process == 0) return Duration::zero();
    clockid_t clock{};
    if (::clock_getcpuclockid(process, &clock) != 0) return Duration::zero();
    Duration total = read_clock(clock) + cpu_time_of_reaped_children(process);
    for (const pid_t child : children_of(process)) total += cpu_time_of(child);
    return total;
}

Duration stolen_time() {
    std::ifstream file("/proc/stat");
    std::string line;
    std::getline(file, line);
    long long stolen = 0;
    // user nice system idle iowait irq softirq, then steal.
    if (std::sscanf(line.c_str(), "cpu %*d %*d %*d %*d %*d %*d %*d %lld", &stolen) != 1)
        return Duration::zero();
    return ticks(stolen);
}

}  // namespace confab::load
