// Public: what a handler of echo or upper does besides, so that strategies can be compared by it.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "pools/clock.hpp"
#include "server/byte_apps.hpp"

namespace confab {

/// Work that a handler does for each piece of input, on the thread that serves it and without any `co_await`:
/// a computation, or a call that blocks, as it is in many a handler. A value.
struct HandlerWork {
    Duration compute{};       ///< processor time
    Duration sleep{};         ///< in a plain nanosleep(2), as a query to a database blocks
    Duration rare_compute{};  ///< processor time, instead of `compute`, for about one piece in a hundred:
                              ///< which ones, their bytes decide, so that every strategy has the same ones

    /// "compute:200us", "sleep:2ms", "mixed:20us/20ms" (the second is the rare one), "none"; units ns, us,
    /// ms, s. Or a sentence that says what is allowed.
    static std::expected<HandlerWork, std::string> parse(std::string_view text);

    /// Whether `bytes` are one of those pieces.
    static bool is_rare(Bytes bytes);

    bool is_none() const { return compute + sleep + rare_compute == Duration::zero(); }
};

/// Does the work, then what `transform` does.
Transform with_work(HandlerWork work, Transform transform);

}  // namespace confab
