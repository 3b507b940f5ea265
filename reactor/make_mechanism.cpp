#include "reactor/make_mechanism.hpp"

#include <stdexcept>

#include "reactor/blocking.hpp"
#include "reactor/busy.hpp"
#include "reactor/epoll.hpp"
#include "reactor/poll.hpp"
#include "reactor/select.hpp"

namespace confab {

std::unique_ptr<Mechanism> make_mechanism(const ReactorOptions& options, Ledger& ledger, Waiting& waiting,
                                          std::string& warning) {
    (void)waiting;
    (void)warning;
    switch (options.waiting) {
        case Waiting::blocking:
            return std::make_unique<BlockingMechanism>(ledger, options.receive_size);
        case Waiting::busy:
            return std::make_unique<BusyMechanism>(ledger, options.receive_size);
        case Waiting::select:
            return std::make_unique<SelectMechanism>(ledger, options.receive_size);
        case Waiting::poll:
            return std::make_unique<PollMechanism>(ledger, options.receive_size);
        case Waiting::epoll:
            return std::make_unique<EpollMechanism>(ledger, options.receive_size);
        default:
            throw std::invalid_argument("no such mechanism");
    }
}

}  // namespace confab
