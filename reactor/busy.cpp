#include "reactor/busy.hpp"

#include <sched.h>

#include "reactor/system_calls.hpp"

namespace confab {

BusyMechanism::BusyMechanism(Ledger& ledger, std::size_t receive_size)
    : PollMechanism(ledger, receive_size, Kind{}) {}

// A round that brought nothing lets others have the processor: on a machine with fewer processors than busy
// reactors and clients, the peer would otherwise wait for the end of a time slice to say anything.
void BusyMechanism::wait(Instant deadline, bool /*posts_expected*/) {
    if (ledger().events == events_before_ && deadline != Instant::min() && !anything_due()) {
        system_calls::once(ledger(), SystemCall::wait, [] { return ::sched_yield(); });
    }
    events_before_ = ledger().events;
    try_everything();
}

}  // namespace confab
