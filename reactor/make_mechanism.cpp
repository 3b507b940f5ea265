#include "reactor/make_mechanism.hpp"

#include <stdexcept>
#include <utility>

#include "reactor/blocking.hpp"
#include "reactor/busy.hpp"
#include "reactor/epoll.hpp"
#include "reactor/poll.hpp"
#include "reactor/select.hpp"
#include "reactor/simulated_mechanism.hpp"
#include "reactor/uring.hpp"
#include "reactor/uring_features.hpp"

namespace confab {

namespace {

std::unique_ptr<Mechanism> make_uring(const ReactorOptions& options, Ledger& ledger, Waiting& waiting,
                                      std::string& warning) {
    const auto allowed = parse_uring_features(options.uring_features);
    if (!allowed) throw std::invalid_argument(allowed.error());
    UringFeatures features = *allowed;
    // One that is armed anew for each connection goes to the end of the listener's queue.
    if (options.shares_listeners) features.remove(UringFeature::multishot_accept);
    auto uring = UringMechanism::make(ledger, {.receive_size = options.receive_size, .allowed = features});
    if (uring) return std::move(*uring);
    waiting = Waiting::epoll;
    warning = "io_uring cannot be used, epoll is: " + uring.error();
    return std::make_unique<EpollMechanism>(ledger, options.receive_size, options.shares_listeners);
}

}  // namespace

std::unique_ptr<Mechanism> make_mechanism(const ReactorOptions& options, Ledger& ledger, Waiting& waiting,
                                          std::string& warning) {
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
            return std::make_unique<EpollMechanism>(ledger, options.receive_size, options.shares_listeners);
        case Waiting::uring:
            return make_uring(options, ledger, waiting, warning);
        case Waiting::simulated:
            if (options.network == nullptr) throw std::invalid_argument("simulated waiting needs a network");
            return std::make_unique<SimulatedMechanism>(ledger, *options.network, options.receive_size);
    }
    throw std::invalid_argument("no such mechanism");
}

}  // namespace confab
