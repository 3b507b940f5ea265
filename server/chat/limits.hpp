// Public: every bound of the chat, with its reason.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "reactor/clock.hpp"

namespace confab::chat {

/// What one member, one room and the whole chat may cost. Zero switches off only where it says so.
struct Limits {
    /// Bytes in a line, without its end. What a terminal's line discipline can hand over in one piece.
    std::size_t line_length = 4096;
    /// Bytes in a nick or in a room's name, at most Name::capacity. Longer ones break everybody's columns.
    std::size_t name_length = 32;
    /// Bytes in a topic: it is repeated to everyone who joins.
    std::size_t topic_length = 400;
    /// Bytes that may wait for one member, beyond what the kernel has taken: seconds of a busy room, and no
    /// more memory than a few hundred idle members cost.
    std::size_t bytes_queued = 256 * 1024;
    /// Bytes of replies that may wait before a member's next command has to: those who ask for much at once
    /// are answered at the pace they read, and are not dropped for it.
    std::size_t reply_bytes_queued = 64 * 1024;

    /// Members at once: room for them is set aside.
    std::size_t members = 100'000;
    /// Rooms one member may be in: leaving and renaming cost an announcement each.
    std::size_t rooms_per_member = 20;
    /// Rooms in all, the kept empty ones included: a few kilobytes each, and anybody may open one.
    std::size_t rooms = 10'000;
    /// How long the history of an empty room is kept for those who come back.
    Duration empty_room_kept = std::chrono::hours(1);
    /// In a room with more members, coming, going and renaming is not announced: it would cost everybody a
    /// line for everybody, which is quadratic. A thousand fit into `bytes_queued` several times over, so that
    /// a room may fill up with members who do not read yet.
    std::size_t announced_members = 1000;

    /// Messages a room keeps for /history, and their bytes.
    std::size_t history_length = 100;
    std::size_t history_bytes = 64 * 1024;
    /// Bytes of history over all rooms; empty rooms go first, then a room's own oldest messages.
    std::size_t history_bytes_in_all = 64 * 1024 * 1024;

    /// Lines a second that one member may send in the long run, and at once. 0: any number. Off unless asked
    /// for: a load generator and a shell script are members as well.
    unsigned lines_per_second = 0;
    unsigned lines_at_once = 20;

    /// Bytes of the bus: what the fastest publisher may be ahead of the slowest reactor. Some 8000 lines of
    /// chat.
    std::size_t bus_bytes = 1024 * 1024;
    /// How long publishers wait for a reactor that does not read its news before it has to skip some.
    Duration publisher_patience = std::chrono::seconds(1);

    /// What is wrong with these limits, by the names of their options; empty when they fit together.
    std::string fault() const;
};

}  // namespace confab::chat
