#include "coro/timeout.hpp"

namespace confab {

deadline::deadline(scope& limited_scope, Duration limit)
    : Operation(Kind::sleep, -1,
                [](Operation& operation) noexcept {
                    auto& self = static_cast<deadline&>(operation);
                    self.expired_ = true;
                    self.scope_.request_stop(StopReason::timed_out);
                }),
      scope_(limited_scope) {
    Operation::deadline = after(scope_.reactor().now(), limit);
    scope_.reactor().submit(*this);
}

deadline::~deadline() { scope_.reactor().withdraw(*this); }

}  // namespace confab
