#include <sys/utsname.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <string>
#include <thread>

#include "bench/compare/runner.hpp"

namespace confab::compare {

namespace {

// The rest of the first line that begins with `name`, after a colon; empty: there is none.
std::string value_in(const char* path, const std::string& name) {
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
        if (!line.starts_with(name)) continue;
        const std::size_t colon = line.find(':');
        const std::size_t first =
            line.find_first_not_of(" \t", colon == std::string::npos ? colon : colon + 1);
        return first == std::string::npos ? std::string() : line.substr(first);
    }
    return {};
}

std::string first_line(const char* path) {
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    return line;
}

std::string date() {
    const std::time_t now = std::time(nullptr);
    std::tm utc{};
    ::gmtime_r(&now, &utc);
    char text[32];
    return {text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &utc)};
}

constexpr bool is_sanitized() {
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
    return true;
#endif
#endif
    return false;
}

std::string build() {
    std::string text = std::string("compiled by ") + __VERSION__;
#ifndef __OPTIMIZE__
    text += "; NOT OPTIMISED: the figures mean little";
#endif
    if (is_sanitized()) text += "; UNDER A SANITIZER: the figures mean nothing";
#ifdef NDEBUG
    text += "; without assertions";
#else
    text += "; with assertions";
#endif
    return text;
}

}  // namespace

Environment environment() {
    Environment all{{"date", date()}};
    utsname system{};
    ::uname(&system);
    const std::string model = value_in("/proc/cpuinfo", "model name");
    all.emplace_back("processor", (model.empty() ? std::string(system.machine) : model) + ", " +
                                      std::to_string(std::thread::hardware_concurrency()) + " cores for us");
    all.emplace_back("memory", value_in("/proc/meminfo", "MemTotal"));
    all.emplace_back("kernel", std::string(system.sysname) + ' ' + system.release);
    all.emplace_back("build", build());
    all.emplace_back("load average before", first_line("/proc/loadavg"));
    all.emplace_back("connections waiting in a listener's queue, at most",
                     first_line("/proc/sys/net/core/somaxconn"));
    all.emplace_back("placement", "server and generator share all cores; nothing is pinned");
    return all;
}

}  // namespace confab::compare
