// Internal to reactor: the one place that knows all mechanisms.
#pragma once

#include <memory>
#include <string>

#include "reactor/reactor.hpp"

namespace confab {

/// Makes what `options.waiting` names; throws std::system_error when the kernel refuses. io_uring refused: an
/// epoll mechanism, `waiting` is changed and `warning` says why.
std::unique_ptr<Mechanism> make_mechanism(const ReactorOptions& options, Ledger& ledger, Waiting& waiting,
                                          std::string& warning);

}  // namespace confab
