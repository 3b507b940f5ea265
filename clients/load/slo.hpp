// Public: a promise about latency, and whether a load has seen it kept.
#pragma once

#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "clients/load/options.hpp"
#include "clients/load/result.hpp"
#include "pools/clock.hpp"

namespace confab::load {

/// "That share of the messages is answered within `limit`." A value.
struct Slo {
    double share;
    Duration limit;

    /// "p99<10ms", "p99.9 < 500us", "max<1s"; units ns, us, ms, s. Or a sentence that says what is allowed.
    static std::expected<Slo, std::string> parse(std::string_view text);
    std::string text() const;
};

enum class Verdict : std::uint8_t {
    held,
    missed,
    unclear,  ///< the noise is larger than the distance to the limit, or the generator was in the way
};

/// What one block says about an SLO.
struct Evidence {
    std::uint64_t above;  ///< messages that took longer than the limit
    std::uint64_t all;
};

struct Judgement {
    Verdict verdict = Verdict::unclear;
    /// The share of messages above the limit lies in here with 95 % confidence.
    double low = 0, high = 1;
    std::string reason;  ///< a sentence
};

std::vector<Evidence> evidence(const Slo& slo, std::span<const Block> blocks);

/// Judges by blocks, since neighbouring messages share their fate: so many of the blocks, drawn at random
/// again and again, are what other runs might have been like. Unclear too when there are fewer than 5 blocks,
/// or fewer messages than ten times what a single one of them decides (1000 for p99). The same evidence gives
/// the same judgement.
Judgement judge(const Slo& slo, std::span<const Evidence> evidence);

/// The same for a whole run: what was due and never sent is a miss of its own; and a miss is unclear when the
/// generator itself was that late that often, for then it is not the server's.
Judgement judge(const Slo& slo, const LoadResult& result);

/// Why the figures of this run are the generator's or the machine's rather than the server's, a sentence
/// each; empty: they are the server's.
std::vector<std::string> generator_limits(const LoadOptions& options, const LoadResult& result);

}  // namespace confab::load
