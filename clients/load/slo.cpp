#include "clients/load/slo.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>
#include <optional>
#include <random>
#include <thread>
#include <utility>

#include "clients/load/report.hpp"

namespace confab::load {

namespace {

constexpr std::size_t fewest_blocks = 5;
constexpr double fewest_deciding = 10;  // messages that an SLO lets be late, of those in the evidence
constexpr int draws = 2000;
constexpr double outside = 0.025;  // of the draws, on either side of the interval

constexpr const char* allowed = "an SLO is like p99<10ms, p99.9<500us or max<1s (units: ns, us, ms, s)";

// What is left of the text once spaces are dropped.
std::string without_spaces(std::string_view text) {
    std::string left;
    std::ranges::copy_if(text, std::back_inserter(left), [](char c) { return c != ' '; });
    return left;
}

// Takes a number off the front; nothing when there is none.
std::optional<double> take_number(std::string_view& text) {
    double number = 0;
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc()) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(rest - text.data()));
    return number;
}

std::optional<double> unit_in_nanoseconds(std::string_view unit) {
    if (unit == "ns") return 1;
    if (unit == "us") return 1e3;
    if (unit == "ms") return 1e6;
    if (unit == "s") return 1e9;
    return std::nullopt;
}

double share_of(const Evidence& evidence) {
    return evidence.all == 0 ? 0 : static_cast<double>(evidence.above) / static_cast<double>(evidence.all);
}

Evidence sum(std::span<const Evidence> evidence) {
    Evidence all{.above = 0, .all = 0};
    for (const Evidence& one : evidence) {
        all.above += one.above;
        all.all += one.all;
    }
    return all;
}

// The share above the limit in each of many runs that might have been.
std::vector<double> drawn_shares(std::span<const Evidence> evidence) {
    std::mt19937_64 random(evidence.size());
    std::uniform_int_distribution<std::size_t> pick(0, evidence.size() - 1);
    std::vector<double> shares;
    std::vector<Evidence> drawn(evidence.size());
    for (int i = 0; i < draws; ++i) {
        for (Evidence& one : drawn) one = evidence[pick(random)];
        shares.push_back(share_of(sum(drawn)));
    }
    std::ranges::sort(shares);
    return shares;
}

}  // namespace

std::expected<Slo, std::string> Slo::parse(std::string_view text) {
    const std::string compact = without_spaces(text);
    std::string_view rest = compact;
    Slo slo{.share = 1, .limit = {}};
    if (rest.starts_with("max")) {
        rest.remove_prefix(3);
    } else {
        if (!rest.starts_with('p')) return std::unexpected(allowed);
        rest.remove_prefix(1);
        const std::optional<double> percent = take_number(rest);
        if (!percent || *percent <= 0 || *percent >= 100) return std::unexpected(allowed);
        slo.share = *percent / 100;
    }
    if (!rest.starts_with('<')) return std::unexpected(allowed);
    rest.remove_prefix(1);
    const std::optional<double> limit = take_number(rest);
    const std::optional<double> unit = unit_in_nanoseconds(rest);
    if (!limit || !unit || *limit <= 0 || *limit * *unit > static_cast<double>(Histogram::longest.count()))
        return std::unexpected(allowed);
    slo.limit = Duration(std::llround(*limit * *unit));
    return slo;
}

std::string Slo::text() const {
    const std::string what = share == 1 ? "max" : fmt::format("p{:.10g}", share * 100);
    return what + " < " + text_of(limit);
}

std::vector<Evidence> evidence(const Slo& slo, std::span<const Block> blocks) {
    std::vector<Evidence> all;
    for (const Block& block : blocks) {
        Evidence one{.above = 0, .all = 0};
        for (const Histogram::Bucket& bucket : block.latency) {
            one.all += bucket.count;
            if (Histogram::upper_end(bucket.index) > slo.limit) one.above += bucket.count;
        }
        all.push_back(one);
    }
    return all;
}

Judgement judge(const Slo& slo, std::span<const Evidence> evidence) {
    const Evidence all = sum(evidence);
    const double may_be_above = 1 - slo.share;
    Judgement judgement;
    if (evidence.size() < fewest_blocks ||
        static_cast<double>(all.all) * may_be_above < (slo.share == 1 ? 0 : fewest_deciding)) {
        judgement.reason =
            fmt::format("{} messages in {} blocks are too few to tell", all.all, evidence.size());
        return judgement;
    }
    const std::vector<double> shares = drawn_shares(evidence);
    judgement.low = shares[static_cast<std::size_t>(outside * draws)];
    judgement.high = shares[static_cast<std::size_t>((1 - outside) * draws)];
    // "Never" is broken by a single message, whatever other runs might have been like.
    if (slo.share == 1) judgement.low = judgement.high = share_of(all);
    judgement.verdict = judgement.high <= may_be_above ? Verdict::held
                        : judgement.low > may_be_above ? Verdict::missed
                                                       : Verdict::unclear;
    judgement.reason =
        fmt::format("{:.3g} % took longer (95 % sure: {:.3g} to {:.3g} %), {:.3g} % may", 100 * share_of(all),
                    100 * judgement.low, 100 * judgement.high, 100 * may_be_above);
    return judgement;
}

Judgement judge(const Slo& slo, const LoadResult& result) {
    Judgement judgement = judge(slo, evidence(slo, result.blocks));
    const double may_be_above = 1 - slo.share;
    const double generators_own =
        std::max(result.health.lateness.share_above(slo.limit), result.health.hiccups.share_above(slo.limit));
    if (judgement.verdict == Verdict::missed && generators_own > may_be_above / 2) {
        judgement.verdict = Verdict::unclear;
        judgement.reason += fmt::format("; but the generator itself was that late {:.3g} % of the time",
                                        100 * generators_own);
    }
    if (judgement.verdict != Verdict::missed && result.never_sent > 0) {
        const double unsent =
            static_cast<double>(result.never_sent) /
            static_cast<double>(result.never_sent + std::max<std::uint64_t>(result.messages, 1));
        if (unsent > may_be_above) {
            judgement.verdict = Verdict::missed;
            judgement.reason += fmt::format("; but {:.3g} % were never sent", 100 * unsent);
        }
    }
    return judgement;
}

std::vector<std::string> generator_limits(const LoadOptions& options, const LoadResult& result) {
    constexpr double busy = 0.95, much_stolen = 0.02;
    constexpr int most_of = 2;
    std::vector<std::string> limits;
    const double measured = std::chrono::duration<double>(result.measured).count();
    if (measured <= 0 || result.corrected.empty()) return limits;
    const auto cores = [measured](Duration time) {
        return std::chrono::duration<double>(time).count() / measured;
    };

    const bool server_is_busier = result.server_known && cores(result.server_cpu) >= busy;
    if (!result.open_loop && cores(result.health.cpu) >= busy * static_cast<double>(options.threads) &&
        !server_is_busier) {
        limits.push_back("the generator had no processor time left: give it --threads, or cores of its own");
    }
    const Duration tail = result.corrected.at(0.99);
    const Duration own = std::max(result.health.lateness.at(0.99), result.health.hiccups.at(0.99));
    if (own * most_of > tail) {
        limits.push_back(fmt::format("the generator itself ran {} late (p99), and p99 is {}", text_of(own),
                                     text_of(tail)));
    }
    const double stolen = cores(result.health.stolen) / std::max(1U, std::thread::hardware_concurrency());
    if (stolen > much_stolen)
        limits.push_back(fmt::format("{:.0f} % of the machine was stolen by its host", 100 * stolen));
    return limits;
}

}  // namespace confab::load
