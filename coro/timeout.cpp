#include "coro/timeout.hpp"

#include <utility>

namespace confab {

deadline::deadline(scope& limited_scope, Duration limit)
    : Operation(Kind::sleep, -1,
                [](Operation& operation) noexcept {
                    auto& self = static_cast<deadline&>(operation);
                    self.expired_ = self.scope_.request_stop(StopReason::timed_out);
                }),
      scope_(limited_scope) {
    reset(limit);
}

deadline::~deadline() { scope_.reactor().withdraw(*this); }

void deadline::reset(Duration limit) {
    Reactor& reactor = scope_.reactor();
    reactor.withdraw(*this);
    Operation::deadline = limit == no_limit ? never : after(reactor.now(), limit);
    if (Operation::deadline != never) reactor.submit(*this);
}

stop_when::stop_when(scope& stopped_scope, std::stop_token token)
    : Job([](Job& job) noexcept { static_cast<stop_when&>(job).scope_.request_stop(); }),
      scope_(stopped_scope) {
    scope_.reactor().hold();
    callback_.emplace(std::move(token), Request{*this});
}

// Once the callback is gone it has either posted, and come out of that, or never will.
stop_when::~stop_when() {
    callback_.reset();
    scope_.reactor().take_back(*this);
    scope_.reactor().release_hold();
}

}  // namespace confab
