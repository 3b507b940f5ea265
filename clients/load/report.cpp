#include "clients/load/report.hpp"

#include <spdlog/fmt/fmt.h>

#include <array>
#include <cmath>
#include <iterator>
#include <string_view>

namespace confab::load {

namespace {

struct Percentile {
    double share;
    const char* name;
};
constexpr std::array<Percentile, 5> percentiles{
    {{0.5, "p50"}, {0.9, "p90"}, {0.99, "p99"}, {0.999, "p99.9"}, {0.9999, "p99.99"}}};

// How many values must lie beyond a percentile for it to be told.
constexpr double values_beyond = 10;

bool is_told(double share, std::uint64_t count) {
    return static_cast<double>(count) * (1 - share) >= values_beyond || share <= 0.5;
}

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

double milliseconds(Duration duration) { return std::chrono::duration<double, std::milli>(duration).count(); }

const char* name(App app) {
    switch (app) {
        case App::echo:
            return "echo";
        case App::upper:
            return "upper";
        case App::http:
            return "http";
        case App::chat:
            break;
    }
    return "chat";
}

const char* name(Verdict verdict) {
    switch (verdict) {
        case Verdict::held:
            return "held";
        case Verdict::missed:
            return "missed";
        case Verdict::unclear:
            break;
    }
    return "too noisy to tell";
}

// 1234567 as "1 234 567".
std::string grouped(std::uint64_t number) {
    std::string digits = std::to_string(number);
    for (std::size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, 1, ' ');
    return digits;
}

std::string latencies(const Histogram& histogram) {
    if (histogram.empty()) return "none";
    std::string line;
    for (const Percentile& percentile : percentiles) {
        if (!is_told(percentile.share, histogram.count())) break;
        line += fmt::format("{} {}  ", percentile.name, text_of(histogram.at(percentile.share)));
    }
    return line + "max " + text_of(histogram.most());
}

std::string escaped(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        if (static_cast<unsigned char>(c) < 0x20) {
            out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
        } else {
            out += c;
        }
    }
    return out;
}

// Buckets are pairs: the longest duration that falls into one, in nanoseconds, and how many did.
std::string json(const Histogram& histogram) {
    std::string out =
        fmt::format("{{\"count\":{},\"mean_ms\":{:.6f}", histogram.count(), milliseconds(histogram.mean()));
    for (const Percentile& percentile : percentiles) {
        if (!is_told(percentile.share, histogram.count())) break;
        out +=
            fmt::format(",\"{}_ms\":{:.6f}", percentile.name, milliseconds(histogram.at(percentile.share)));
    }
    out += fmt::format(",\"max_ms\":{:.6f},\"buckets_ns\":[", milliseconds(histogram.most()));
    const char* comma = "";
    for (const Histogram::Bucket& bucket : histogram.buckets()) {
        out += fmt::format("{}[{},{}]", comma, Histogram::upper_end(bucket.index).count(), bucket.count);
        comma = ",";
    }
    return out + "]}";
}

std::string json(const Faults& faults) {
    return fmt::format(
        "{{\"lost\":{},\"doubled\":{},\"reordered\":{},\"corrupted\":{},\"disconnected\":{},\"complaints\":{}"
        ",\"refused\":{}}}",
        faults.lost, faults.doubled, faults.reordered, faults.corrupted, faults.disconnected,
        faults.complaints, faults.refused);
}

std::string json(const std::vector<Block>& blocks) {
    std::string out = "[";
    for (const Block& block : blocks) {
        Histogram latency;
        latency.add(block.latency);
        out += fmt::format("{}{{\"seconds\":{:.6f},\"messages\":{},\"p50_ms\":{:.6f},\"p99_ms\":{:.6f}}}",
                           out.size() > 1 ? "," : "", seconds(block.length), block.messages,
                           milliseconds(latency.at(0.5)), milliseconds(latency.at(0.99)));
    }
    return out + "]";
}

}  // namespace

std::string text_of(Duration duration) {
    struct Unit {
        double nanoseconds;
        const char* name;
    };
    constexpr std::array<Unit, 4> units{{{1e9, "s"}, {1e6, "ms"}, {1e3, "us"}, {1, "ns"}}};
    const auto value = static_cast<double>(duration.count());
    for (const Unit& unit : units) {
        if (value < unit.nanoseconds && unit.nanoseconds > 1) continue;
        const double number = value / unit.nanoseconds;
        return fmt::format("{:.{}f} {}", number,
                           number < 10 && unit.nanoseconds > 1    ? 2
                           : number < 100 && unit.nanoseconds > 1 ? 1
                                                                  : 0,
                           unit.name);
    }
    return "0 ns";
}

std::string fault_list(const LoadResult& result) {
    const Faults& faults = result.faults;
    std::string list;
    const auto name_it = [&](std::uint64_t count, std::string_view what) {
        if (count > 0) list += fmt::format("{}{} {}", list.empty() ? "" : ", ", grouped(count), what);
    };
    name_it(faults.lost, "lost");
    name_it(faults.doubled, "doubled");
    name_it(faults.reordered, "reordered");
    name_it(faults.corrupted, "corrupted");
    name_it(faults.disconnected, "connections lost");
    name_it(faults.complaints, "errors said by the server");
    name_it(faults.refused, "connections refused");
    if (!result.first_loss.empty()) list += " (the first: " + result.first_loss + ')';
    return list.empty() ? "none; every byte compared" : list;
}

std::string heading(const LoadOptions& options, const std::string& target) {
    std::string loop = "closed loop";
    if (options.rate) {
        const double first = options.rate->rate_at(0);
        const std::string rates =
            options.rate->is_constant() ? fmt::format("{:.10g}", first) : fmt::format("from {:.10g}", first);
        loop = fmt::format("open loop: {} messages/s, {}", rates,
                           options.spacing == Spacing::even ? "evenly spaced" : "Poisson");
    }
    return fmt::format(
        "{} at {}: {} connections, {} bytes, {}, {}; {:.10g} s after {:.10g} s of warm-up\n",
        name(options.app), target, options.connections, options.size,
        options.churn ? std::string("one message each") : fmt::format("pipeline {}", options.pipeline), loop,
        seconds(options.duration), seconds(options.warmup));
}

std::string progress_line(Duration at, const Block& block) {
    Histogram latency;
    latency.add(block.latency);
    const std::string faults =
        block.faults > 0 ? fmt::format("  {} faults", grouped(block.faults)) : std::string();
    return fmt::format("{:6.1f} s  {:>10} messages/s  p50 {:>8}  p99 {:>8}{}\n", seconds(at),
                       grouped(static_cast<std::uint64_t>(std::llround(
                           static_cast<double>(block.messages) / std::max(seconds(block.length), 1e-9)))),
                       text_of(latency.at(0.5)), text_of(latency.at(0.99)), faults);
}

std::string summary(const LoadOptions& options, const LoadResult& result) {
    std::string text;
    auto out = std::back_inserter(text);
    const double measured = std::max(seconds(result.measured), 1e-9);
    fmt::format_to(out, "  rate        {} messages/s ({} in {:.2f} s)\n",
                   grouped(static_cast<std::uint64_t>(std::llround(result.rate()))), grouped(result.messages),
                   measured);
    if (result.open_loop) {
        fmt::format_to(out, "  latency     {}   (from when due)\n", latencies(result.corrected));
        fmt::format_to(out, "  uncorrected {}   (from when sent)\n", latencies(result.uncorrected));
    } else {
        fmt::format_to(out, "  latency     {}\n", latencies(result.corrected));
    }
    fmt::format_to(out, "  connections {} served", grouped(result.served));
    if (result.starved > 0) fmt::format_to(out, ", {} never had an answer", grouped(result.starved));
    if (options.bystanders() > 0)
        fmt::format_to(out, "; {} of {} bystanders", grouped(result.bystanders),
                       grouped(options.bystanders()));
    if (result.never_sent > 0) {
        fmt::format_to(out, "; {} messages were due and found no connection free",
                       grouped(result.never_sent));
    }
    fmt::format_to(out, "\n  faults      {}\n", fault_list(result));
    if (result.server_known) {
        fmt::format_to(out, "  server      {:.0f} % of a core", 100 * seconds(result.server_cpu) / measured);
        if (result.messages > 0) {
            fmt::format_to(out, ", {} a message",
                           text_of(result.server_cpu / static_cast<Duration::rep>(result.messages)));
        }
        text += '\n';
    }
    fmt::format_to(out, "  generator   {:.0f} % of a core on {} {}, {}; hiccups p99 {}, max {}",
                   100 * seconds(result.health.cpu) / measured, options.threads,
                   options.threads == 1 ? "thread" : "threads", result.mechanism,
                   text_of(result.health.hiccups.at(0.99)), text_of(result.health.hiccups.most()));
    if (result.open_loop)
        fmt::format_to(out, "; sent late: p99 {}", text_of(result.health.lateness.at(0.99)));
    if (result.health.stolen > Duration::zero())
        fmt::format_to(out, "; stolen from the machine: {}", text_of(result.health.stolen));
    text += '\n';
    for (const std::string& limit : generator_limits(options, result)) {
        fmt::format_to(out, "  NOT THE SERVER'S FIGURES: {}\n", limit);
    }
    if (result.interrupted) text += "  It was interrupted: this is what there is.\n";
    if (result.all_lost) text += "  It ended early: no connection was left.\n";
    return text;
}

std::string json(const LoadOptions& options, const LoadResult& result, std::span<const Slo> slos,
                 const std::string& target) {
    std::string text = "{";
    auto out = std::back_inserter(text);
    fmt::format_to(
        out,
        "\"target\":\"{}\",\"app\":\"{}\",\"mode\":\"{}\",\"connections\":{},\"size\":{},\"pipeline\":{},"
        "\"churn\":{},\"rooms\":{},\"threads\":{},\"seed\":{},\"warmup_seconds\":{:.6f},\"mechanism\":\"{}\"",
        escaped(target), name(options.app), result.open_loop ? "open" : "closed", options.connections,
        options.size, options.pipeline, options.churn, options.rooms, options.threads, options.seed,
        seconds(options.warmup), escaped(result.mechanism));
    if (options.rate) {
        fmt::format_to(out, ",\"asked_rate\":{:.6f},\"arrivals\":\"{}\"", options.rate->rate_at(0),
                       options.spacing == Spacing::even ? "even" : "poisson");
    }
    fmt::format_to(
        out,
        ",\"seconds\":{:.6f},\"messages\":{},\"answered\":{},\"rate\":{:.3f},\"verified_bytes\":{},"
        "\"served\":{},"
        "\"starved\":{},\"bystanders\":{},\"never_sent\":{},\"interrupted\":{},\"errors\":{},\"faults\":{}",
        seconds(result.measured), result.messages, result.answered, result.rate(), result.bytes,
        result.served, result.starved, result.bystanders, result.never_sent, result.interrupted,
        result.faults.all(), json(result.faults));
    if (result.server_known)
        fmt::format_to(out, ",\"server_cpu_seconds\":{:.6f}", seconds(result.server_cpu));
    text += ",\"generator_limits\":[";
    const char* comma = "";
    for (const std::string& limit : generator_limits(options, result)) {
        fmt::format_to(out, "{}\"{}\"", comma, escaped(limit));
        comma = ",";
    }
    text += "],\"slos\":[";
    comma = "";
    for (const Slo& slo : slos) {
        const Judgement judgement = judge(slo, result);
        fmt::format_to(out, "{}{{\"slo\":\"{}\",\"verdict\":\"{}\",\"reason\":\"{}\"}}", comma,
                       escaped(slo.text()), name(judgement.verdict), escaped(judgement.reason));
        comma = ",";
    }
    text += ']';
    fmt::format_to(out, ",\"load_cpu_seconds\":{:.6f},\"stolen_seconds\":{:.6f}", seconds(result.health.cpu),
                   seconds(result.health.stolen));
    fmt::format_to(
        out, ",\"latency\":{},\"uncorrected_latency\":{},\"hiccups\":{},\"lateness\":{},\"blocks\":{}}}\n",
        json(result.corrected), json(result.latency_from_sending()), json(result.health.hiccups),
        json(result.health.lateness), json(result.blocks));
    return text;
}

std::string verdict_line(const Slo& slo, const Judgement& judgement) {
    return fmt::format("  {}: {} ({})\n", slo.text(), name(judgement.verdict), judgement.reason);
}

std::string probe_failure(double rate, const LoadResult& result) {
    constexpr double enough = 0.97;
    if (result.faults.all() > 0) return fault_list(result);
    if (result.rate() < enough * rate) return fmt::format("only {:.4g} messages/s came back", result.rate());
    return {};
}

std::string probe_line(double rate, const Slo& slo, const LoadResult& result, const std::string& failure) {
    std::string why = failure;
    if (why.empty()) {
        const Judgement judgement = judge(slo, evidence(slo, result.blocks));
        why = fmt::format("{}: {}", name(judgement.verdict), judgement.reason);
    }
    const std::string what = slo.share == 1 ? "max" : fmt::format("p{:.10g}", slo.share * 100);
    return fmt::format("  {:>10.6g} messages/s  {} {:>8}  {}\n", rate, what,
                       text_of(result.corrected.at(slo.share)), why);
}

std::string interval_text(const RateInterval& interval) {
    if (interval.held == 0)
        return fmt::format("held at no rate that was tried ({} loads)\n", interval.probes);
    if (!std::isfinite(interval.missed))
        return fmt::format("held at {:.6g} messages/s, and no rate was found where it is missed ({} loads)\n",
                           interval.held, interval.probes);
    return fmt::format("held up to {:.6g} messages/s, missed from {:.6g} on{} ({} loads)\n", interval.held,
                       interval.missed, interval.is_narrow ? "" : "; between the two it is too noisy to tell",
                       interval.probes);
}

std::string json(const Slo& slo, const RateInterval& interval, const std::string& target) {
    const std::string missed =
        std::isfinite(interval.missed) ? fmt::format("{:.3f}", interval.missed) : "null";
    return fmt::format(
        "{{\"target\":\"{}\",\"slo\":\"{}\",\"held\":{:.3f},\"missed\":{},\"narrow\":{},\"loads\":{}}}\n",
        escaped(target), escaped(slo.text()), interval.held, missed, interval.is_narrow, interval.probes);
}

}  // namespace confab::load
