// Internal to server: accepting, with its bounds.
#pragma once

#include "coro/task.hpp"
#include "coro/wait_list.hpp"
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

/// The connections that come to one listener, one after the other.
class AcceptLoop {
  public:
    /// `listener` stays open while this lives.
    AcceptLoop(int listener, SlotQueue& slots) : listener_(listener), slots_(slots) {}

    /// The next connection, together with a slot for it. Out of descriptors or memory: says so once, leaves
    /// the connections in the listener's queue and tries again until it goes on, which it says too. Throws
    /// task_canceled, and std::system_error when the listener is broken.
    task<int> next();

  private:
    task<int> next_without_slot();

    int listener_;
    SlotQueue& slots_;
};

}  // namespace confab
