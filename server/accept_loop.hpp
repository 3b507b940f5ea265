// Internal to server: accepting, with its bounds.
#pragma once

#include <cstdint>
#include <expected>
#include <system_error>
#include <vector>

#include "coro/task.hpp"
#include "coro/wait_list.hpp"
#include "pools/fd.hpp"
#include "reactor/reactor.hpp"
#include "server/connection_slots.hpp"

namespace confab {

/// A reactor's access to the slots of its process: its tasks wait here for a free one.
class SlotQueue {
  public:
    SlotQueue(ConnectionSlots& slots, Reactor& reactor);
    ~SlotQueue();

    /// Takes a slot, waiting for one if need be (which is said on stderr). False: the task was asked to stop.
    task<bool> take();
    void give_back() { slots_.give_back(); }
    void move_in() { slots_.move_in(); }
    bool shared_between_processes() const { return slots_.shared_between_processes(); }
    bool has_share() const { return slots_.has_share(); }
    std::uint64_t served_everywhere() const { return slots_.served_everywhere(); }

  private:
    struct FreedJob : Job {
        explicit FreedJob(SlotQueue& owner);
        SlotQueue& queue;
    };

    ConnectionSlots& slots_;
    FreedJob freed_;
    ConnectionSlots::Asker asker_;
    WaitList waiting_;
};

/// Where connections come from.
struct Source {
    enum class Kind : std::uint8_t {
        listener,  ///< they are accepted
        feed,      ///< another process has accepted them (server/feed.hpp)
    };
    Kind kind = Kind::listener;
    Fd fd;
};

/// The connections that come from one source, one after the other.
///
/// Processes that share a listener take even shares of what comes to it, however the kernel wakes them: one
/// that has more than its share does not wait for the listener as long as the others come for what is there.
/// That costs nothing while shares are even, and no more than a look each time somebody comes while they are
/// not.
class AcceptLoop {
  public:
    /// `source`, a descriptor of that kind, stays open while this lives.
    AcceptLoop(Source::Kind kind, int source, SlotQueue& slots);

    /// The next connection, together with a slot for it. Out of descriptors or memory: says so once, leaves
    /// the connections in the source's queue and tries again until it goes on, which it says too. Throws
    /// task_canceled, and std::system_error when the source is broken.
    task<int> next();

    /// Closes the source, which is then nobody's here. Gives the connections that may be waiting for this
    /// acceptor alone, each with a slot: the kernel wakes one of those who share a listener, and does not
    /// wake another when that one goes without having accepted. Cannot be cancelled.
    task<std::vector<int>> leave();

  private:
    task<int> next_without_slot();
    task<void> leave_to_others();
    Duration look_again_after() const;
    task<std::expected<int, std::error_code>> try_next();

    Source::Kind kind_;
    int source_;
    SlotQueue& slots_;
    unsigned patience_;  // looks at a connection that nobody takes, before it is taken after all
};

}  // namespace confab
