// Internal to clients: load for servers that pass lines on to a room.
#pragma once

#include <memory>
#include <vector>

#include "clients/load/driver.hpp"
#include "clients/load/worker_share.hpp"

namespace confab::load {

struct ChatSettings {
    std::size_t connections = 100;  ///< of all workers
    std::size_t rooms = 1;          ///< of all workers; no fewer than workers; 1: where the server puts us
    std::size_t size = 64;          ///< bytes of a line, its end included; at least `shortest_line`
    std::size_t pipeline = 1;       ///< lines of a speaker that his room has not heard, at most
    std::size_t slow_readers = 0;   ///< members who hardly read, one a room as far as they go
    /// In each room one speaker at a time says so many lines at once, the next one when all have heard them;
    /// 0: everybody speaks when he may.
    std::size_t burst = 0;
    std::uint64_t session = 0;     ///< lines after which a speaker leaves and another one joins; 0: he stays
    std::size_t connecting = 256;  ///< connections that may be in the making at once
    WorkShare share;               ///< whole rooms are shared out
};

inline constexpr std::size_t shortest_line = 32;

/// How many of `members` are in each of `rooms`: two at least, and the rest so that the second room has half
/// of what the first has, the third a third (Zipf's law). Requires: members >= 2 * rooms.
std::vector<std::size_t> room_sizes(std::size_t members, std::size_t rooms);

/// In each room one member, the witness, only listens; the others say what the injector hands them. A
/// delivery counts as a message answered: latency is from when the line was due until a member has it.
/// `wiring` outlives the driver.
std::unique_ptr<Driver> make_chat_load(const ChatSettings& settings, Wiring wiring);

}  // namespace confab::load
