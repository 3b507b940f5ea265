// Internal to server: how many connections a process may hold.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "pools/annotated_mutex.hpp"
#include "reactor/job.hpp"
#include "reactor/reactor.hpp"

namespace confab {

/// Slots that the reactors of a process share, and perhaps those of other processes. Any thread.
class ConnectionSlots {
  public:
    /// How several processes share the slots, and hear of each other's connections. A process that is killed
    /// takes nothing with it but its own count.
    struct Others {
        std::atomic<std::size_t>* here = nullptr;      ///< connections of this process, for others to see
        std::atomic<std::uint64_t>* served = nullptr;  ///< those it has ever had
        std::function<std::size_t()> everywhere{};     ///< connections of all processes; none: not shared
        std::function<void()> gone{};                  ///< called for each that has ended; on whatever thread
        std::function<void()> came{};  ///< called for each that another process has given it; likewise
        /// Whether this process may take one more, or has its share; none: it may. Any thread.
        std::function<bool()> has_share{};
        /// Changes whenever any process takes one. With `has_share`.
        std::function<std::uint64_t()> served_everywhere{};
    };

    explicit ConnectionSlots(std::size_t count) : ConnectionSlots(count, {}) {}
    ConnectionSlots(std::size_t count, Others others) : count_(count), others_(std::move(others)) {}

    /// True when a slot may become free without anybody here being told.
    bool shared_between_processes() const { return others_.everywhere != nullptr; }

    /// False: one that comes is better left to another process.
    bool has_share() const { return !others_.has_share || others_.has_share(); }
    /// See Others. Requires: `has_share` was false.
    std::uint64_t served_everywhere() const { return others_.served_everywhere(); }

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
    /// Takes a slot for a connection that another process has counted until now, whatever the bound.
    void move_in();

  private:
    bool count_in() CONFAB_REQUIRES(mutex_);

    const std::size_t count_;
    const Others others_;
    Mutex mutex_;
    std::size_t taken_ CONFAB_GUARDED_BY(mutex_) = 0;
    std::vector<Asker*> askers_ CONFAB_GUARDED_BY(mutex_);
};

}  // namespace confab
