// Internal to server: how many connections a process may hold.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "pools/annotated_mutex.hpp"
#include "reactor/job.hpp"
#include "reactor/reactor.hpp"

namespace confab {

/// Slots that the reactors of a process share. Any thread.
class ConnectionSlots {
  public:
    explicit ConnectionSlots(std::size_t count) : free_(count) {}

    /// One reactor's wish to hear of a free slot: `job` is then posted to it. Must be forgotten before it
    /// dies.
    class Asker {
      public:
        Asker(Reactor& reactor, Job& job) : reactor_(reactor), job_(job) {}

      private:
        friend class ConnectionSlots;
        enum class State : std::uint8_t { quiet, listed, posted };

        Reactor& reactor_;
        Job& job_;
        State state_ = State::quiet;
    };

    /// Takes a slot. False: there is none; `asker` will be told when it is worth trying again.
    bool take(Asker& asker);
    /// To be called by the asker's job first thing.
    void acknowledge(Asker& asker);
    void forget(Asker& asker);
    void give_back();

  private:
    Mutex mutex_;
    std::size_t free_ CONFAB_GUARDED_BY(mutex_);
    std::vector<Asker*> askers_ CONFAB_GUARDED_BY(mutex_);
};

}  // namespace confab
