// Public: messages of bytes from process to process, in memory they share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <utility>
#include <vector>

#include "pools/channel_error.hpp"
#include "pools/clock.hpp"
#include "pools/fd.hpp"
#include "pools/processes/shared_memory.hpp"

namespace confab::processes {

/// What becomes of a message whose taker died before its work was done.
enum class delivery : std::uint32_t {
    at_most_once,  ///< it is counted, and its work with what is done: nobody gets a message twice
    /// The next one to ask gets it, before all that was put later. So when it is closed, getters wait for the
    /// work of other processes, too, before they are told.
    at_least_once,
};

/// What has happened to those who used a channel.
struct channel_deaths {
    std::uint64_t putters = 0;      // died in the middle of a put: what they put is not there
    std::uint64_t getters = 0;      // died in the middle of a get: what they would have got is still there
    std::uint64_t lost = 0;         // messages whose takers died (at_most_once)
    std::uint64_t redelivered = 0;  // the same, for at_least_once
};

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
/// Bounds: `capacity` bytes, of which a message needs its own size and at most 55 more; so a message that was
/// taken counts until it is done. A message that is larger than all of it is std::logic_error.
///
/// Putters and getters have a lock each, so that one of each never wait for one another; a sleeper is woken
/// by a system call, and nobody else. Who stops a process (SIGSTOP) in the middle of a call stops those who
/// want the same side; they have their time limits.
class byte_channel {
  public:
    class Taken;

    /// Throws std::logic_error for a capacity of 0, std::system_error as shared_memory does.
    explicit byte_channel(std::size_t capacity, delivery how = delivery::at_most_once);
    /// The channel that another process made. Throws what shared_memory::attach does, and
    /// std::invalid_argument when that is something else.
    static byte_channel attach(Fd descriptor);
    const Fd& descriptor() const { return memory_.descriptor(); }

    /// Puts the message when there is room; or {closed}; or, after the deadline, {full}. Instant::min() only
    /// tries.
    std::expected<void, channel_error> put_until(Instant deadline, std::span<const std::byte> message);

    /// Gets the next message; or {closed}; or, after the deadline, {empty}. `into` becomes the message; its
    /// memory is used again. What making room in it throws leaves the message where it is.
    std::expected<void, channel_error> get_until(Instant deadline, std::vector<std::byte>& into);

    /// The same, and the message stays until the guard dies.
    [[nodiscard]] std::expected<Taken, channel_error> take_until(Instant deadline,
                                                                 std::vector<std::byte>& into);

    /// Waits until the work of every message is done; what `deaths` counts as lost is. False after the
    /// deadline.
    [[nodiscard]] bool join_until(Instant deadline);

    /// As in threads::channel. When one of them has returned, no put succeeds any more in any process.
    void close();
    void close_now();
    bool closed() const;

    /// Messages that can be got; of this moment. Looks at each of them.
    std::size_t size() const;
    std::size_t capacity() const;
    /// Of the capacity, what is free; of this moment.
    std::size_t room() const;
    channel_deaths deaths() const;

    /// For channels of values: reads a message, in two pieces where it goes around the end of the memory,
    /// with a lock held. What it throws leaves the message where it is.
    class Reader {
      public:
        virtual void read(std::span<const std::byte> begin, std::span<const std::byte> end) = 0;

      protected:
        ~Reader() = default;
    };
    std::expected<void, channel_error> get_until(Instant deadline, Reader& reader);
    [[nodiscard]] std::expected<Taken, channel_error> take_until(Instant deadline, Reader& reader);

    /// Of `capacity`, what a message of that size needs.
    static std::size_t size_with_head(std::size_t size);

  private:
    struct Layout;
    struct Record;
    struct WaitList;
    template <class Recover>
    class Hold;

    explicit byte_channel(shared_memory memory) : memory_(std::move(memory)) {}
    Layout& layout() const;
    static auto hold_putters(Layout& all);
    static auto hold_getters(Layout& all);
    template <class Happened>
    void wait(WaitList& list, std::uint32_t seen, Instant deadline, Happened happened);
    void look_after();
    static void tell_of_room(Layout& all, std::uint32_t putters);
    std::expected<std::uint64_t, channel_error> next(Instant deadline, Reader& reader, bool keeps);
    void done(std::uint64_t position);
    void close_to(std::uint32_t closing);

    shared_memory memory_;
};

/// A message whose work is not done until this object dies. It moves, must not outlive its channel, and means
/// something only in the process that took it: what a fork makes of it there has no effect.
class [[nodiscard]] byte_channel::Taken {
  public:
    Taken(byte_channel& channel, std::uint64_t position) : channel_(&channel), position_(position) {}
    Taken(Taken&& other) noexcept
        : channel_(std::exchange(other.channel_, nullptr)), position_(other.position_) {}
    Taken& operator=(Taken&&) = delete;
    ~Taken() {
        if (channel_ != nullptr) channel_->done(position_);
    }

  private:
    byte_channel* channel_;  // null: another object has the promise
    std::uint64_t position_;
};

}  // namespace confab::processes
