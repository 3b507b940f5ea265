// Internal to pools: what a program and its launcher say to each other.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "pools/connection.hpp"
#include "pools/processes/launcher.hpp"

namespace confab::processes {

/// Program to launcher: start that. The descriptors of the message are the arguments'.
struct LaunchRequest {
    std::uint64_t id;
    std::uint64_t entry;  // address of a LaunchEntry
    std::string name;
    bool daemon;
    orphan when_orphaned;
    std::vector<std::byte> arguments;

    template <class Archive>
    void serialize(Archive& archive) {
        archive(id, entry, name, daemon, when_orphaned, arguments);
    }
};

/// Launcher to program, as its bytes.
struct LaunchReply {
    enum class Kind : std::uint8_t {
        started,  // with the pidfd
        refused,  // by `error`
        ended,    // after `started`
    };

    Kind kind;
    std::uint64_t id;
    pid_t pid = 0;
    int error = 0;
    exit_status status = exit_status::unknown();
};

/// The launcher's whole life, in its process. Gives its exit code.
int run_launcher(connection& program);

}  // namespace confab::processes
