#include "reactor/make_mechanism.hpp"

#include <stdexcept>

#include "reactor/epoll.hpp"

namespace confab {

std::unique_ptr<Mechanism> make_mechanism(const ReactorOptions& options, Ledger& ledger, Waiting& waiting,
                                          std::string& warning) {
    (void)waiting;
    (void)warning;
    switch (options.waiting) {
        case Waiting::epoll:
            return std::make_unique<EpollMechanism>(ledger, options.receive_size);
        default:
            throw std::invalid_argument("no such mechanism");
    }
}

}  // namespace confab
