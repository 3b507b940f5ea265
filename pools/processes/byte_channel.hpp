// Public: messages of bytes from process to process, in memory they share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <utility>

#include "pools/channel_error.hpp"
#include "pools/clock.hpp"
#include "pools/fd.hpp"
#include "pools/processes/message.hpp"
#include "pools/processes/shared_memory.hpp"

namespace confab::processes {

class WaitList;

/// A queue of messages, first in first out, between processes, whatever happens to them.
/// processes::channel<T> is the same for values; the names and the rules are those of threads::channel, with
/// these differences:
///
/// It is made before the fork, or its descriptor sent to a process that attaches it; then any process, and
/// any of its threads, may use it. A mapping keeps it alive.
///
/// A put that has returned is never lost, whatever becomes of the putter: there is no thread behind it that
/// would have to run first. A process may be killed at any instruction of any call: nobody is blocked by it,
/// no message is cut short, and what was going on is counted (`deaths`). A message that somebody had got when
/// he died is gone with him; who cannot have that takes it: a message that was taken stays in its place until
/// its work is done, and `delivery` says what becomes of it otherwise. The death of a taker is noticed by
/// those who wait, within life_check_interval; they look at the takers while they wait.
///
/// Its bound is in bytes, of which a message needs its own size and at most 55 more; a message that was taken
/// counts until it is done. A message that is larger than all of it is std::logic_error.
///
/// Putters and getters have a lock each, so that one of each never wait for one another; a sleeper is woken
/// by a system call, and nobody else. Who stops a process (SIGSTOP) in the middle of a call stops those who
/// want the same side; they have their time limits.
class byte_channel {
  public:
    using Taken = taken_message<byte_channel>;

    /// Has room for `capacity` messages of `typical_size` bytes, more if they are smaller, fewer if they are
    /// larger. Throws std::logic_error for a capacity of 0, std::system_error as shared_memory does.
    byte_channel(std::size_t capacity, std::size_t typical_size, delivery how);
    /// The channel that another process made. Throws what shared_memory::attach does, and
    /// std::invalid_argument when that is something else.
    static byte_channel attach(Fd descriptor);
    const Fd& descriptor() const { return memory_.descriptor(); }

    /// Puts the message when there is room; or {closed}; or, after the deadline, {full}. Instant::min() only
    /// tries.
    std::expected<void, channel_error> put_until(Instant deadline, std::span<const std::byte> message);

    /// Gets the next message; or {closed}; or, after the deadline, {empty}.
    std::expected<void, channel_error> get_until(Instant deadline, message_reader& reader);
    /// The same, and the message stays until the guard dies.
    [[nodiscard]] std::expected<Taken, channel_error> take_until(Instant deadline, message_reader& reader);

    /// Waits until the work of every message is done; what `deaths` counts as lost is. False after the
    /// deadline.
    [[nodiscard]] bool join_until(Instant deadline);

    /// As in threads::channel. When one of them has returned, no put succeeds any more in any process.
    void close();
    void close_now();
    bool closed() const;

    /// Messages that can be got; of this moment. Looks at each of them.
    std::size_t size() const;
    /// Whether a message of that size could be put; of this moment.
    bool has_room_for(std::size_t size) const;
    channel_deaths deaths() const;

  private:
    struct Layout;
    struct Record;
    friend Taken;

    explicit byte_channel(shared_memory memory) : memory_(std::move(memory)) {}
    Layout& layout() const;
    static auto hold_putters(Layout& all);
    static auto hold_getters(Layout& all);
    template <class Happened>
    void wait(WaitList& list, std::uint32_t seen, Instant deadline, Happened happened);
    void look_after();
    static void tell_of_room(Layout& all, std::uint32_t putters);
    std::expected<std::uint64_t, channel_error> next(Instant deadline, message_reader& reader, bool keeps);
    void done(std::uint64_t position);
    void close_to(std::uint32_t closing);

    shared_memory memory_;
};

}  // namespace confab::processes
