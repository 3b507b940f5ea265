// Internal to clients: connections that a server has to bear with while others want something of it.
#pragma once

#include <cstddef>

#include "clients/load/driver.hpp"
#include "coro/event.hpp"
#include "coro/scope.hpp"
#include "coro/semaphore.hpp"
#include "coro/stream.hpp"

namespace confab::load {

struct BystanderCounts {
    std::size_t idle = 0;          ///< send one message each, and nothing more
    std::size_t dribblers = 0;     ///< send a byte a second
    std::size_t slow_readers = 0;  ///< send all that is taken from them, and hardly read

    std::size_t all() const { return idle + dribblers + slow_readers; }
};

/// One worker's bystanders of an echo server. What they send is no message of the load's, what becomes of
/// them no fault: a server may well drop them. Reactor's thread only.
class Bystanders {
  public:
    /// `message`: what each of the idle sends, and the dribblers the first byte of; `flood`: what slow
    /// readers send again and again. They and what `wiring` refers to outlive this.
    Bystanders(BystanderCounts counts, Bytes message, Bytes flood, Wiring wiring);

    /// Spawns their tasks, which last until they are asked to stop.
    void spawn_all(scope& tasks);

    /// Set when each has been connected, and each of the idle answered, or it has failed.
    event& settled() { return settled_; }
    /// Those to whom that has happened without failure.
    std::size_t present() const { return present_; }

  private:
    // Sets the flag once it is not waited for any longer.
    using Behaviour = task<void> (Bystanders::*)(Stream&, bool& settled);

    task<void> run(Behaviour behave);
    task<void> be_idle(Stream& stream, bool& settled);
    task<void> dribble(Stream& stream, bool& settled);
    task<void> read_slowly(Stream& stream, bool& settled);
    task<void> send_all_the_time(Stream& stream);
    void is_present(bool& settled);
    void one_less_to_wait_for();

    const BystanderCounts counts_;
    const Bytes message_;
    const Bytes flood_;
    const Wiring wiring_;
    semaphore connecting_;
    std::size_t waited_for_;
    std::size_t present_ = 0;
    event settled_;
};

}  // namespace confab::load
