// The page draws itself from figures that are in it as JSON: what they mean, who is to be chosen and which
// differences are noise has been decided here, by the code that the terminal's tables come from.
#include "bench/compare/html_report.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string_view>

#include "bench/compare/analysis.hpp"
#include "bench/compare/assets.hpp"
#include "bench/compare/literature.hpp"
#include "bench/compare/text_report.hpp"

namespace confab::compare {

namespace {

using Json = nlohmann::ordered_json;

// Fewer values beyond a percentile than this say nothing about it.
constexpr std::uint64_t values_beyond = 10;

// Four digits, which are more than any figure is worth; null for what is unknown.
Json number(double value) {
    if (!std::isfinite(value) || value == 0) return std::isfinite(value) ? Json(0) : Json(nullptr);
    const double scale = std::pow(10, 3 - std::floor(std::log10(std::abs(value))));
    return std::round(value * scale) / scale;
}

Json to_json(const Summary& summary) {
    return {{"value", number(summary.value.value)},   {"low", number(summary.value.low)},
            {"high", number(summary.value.high)},     {"ratio", number(summary.ratio.value)},
            {"ratio_low", number(summary.ratio.low)}, {"ratio_high", number(summary.ratio.high)},
            {"verdict", name(summary.verdict)}};
}

Json to_json(const Decision& decision) {
    Json json = {{"pick", decision.pick},
                 {"why", decision.why},
                 {"within_noise", decision.within_noise},
                 {"unclear", decision.unclear},
                 {"avoid", Json::array()}};
    for (const Decision::Avoided& avoided : decision.avoid)
        json["avoid"].push_back({{"contender", avoided.contender}, {"why", avoided.why}});
    return json;
}

// Points of the percentile curve: how many in how many (1/(1-p)), and milliseconds.
Json curve(const Spectrum& spectrum) {
    std::uint64_t all = 0, below = 0;
    for (const auto& [end, count] : spectrum) all += count;
    Json points = Json::array();
    double last = 0;
    for (const auto& [end, count] : spectrum) {
        below += count;
        if (all - below < values_beyond) break;
        const double one_in = static_cast<double>(all) / static_cast<double>(all - below);
        if (one_in < last * 1.05) continue;
        last = one_in;
        points.push_back({number(one_in), number(end / 1e3)});
    }
    return points;
}

// What each connection got of an equal share, the least first; over all blocks.
Json shares(const Record& record, const Place& place, const std::string& contender) {
    std::vector<double> all;
    for (const Cell& cell : record.cells) {
        if (cell.workload != place.workload->id || cell.level != place.level->name ||
            cell.contender != contender)
            continue;
        double sum = 0;
        for (const std::uint32_t count : cell.answers) sum += count;
        for (const std::uint32_t count : cell.answers)
            all.push_back(sum > 0 ? count * static_cast<double>(cell.answers.size()) / sum : 0);
    }
    std::ranges::sort(all);
    // As many as a strip can show.
    constexpr std::size_t most = 48;
    Json json = Json::array();
    const std::size_t shown = std::min(all.size(), most);
    for (std::size_t i = 0; i < shown; ++i)
        json.push_back(number(all[shown == 1 ? 0 : i * (all.size() - 1) / (shown - 1)]));
    return json;
}

// The median course of a load that changes.
Json course(const Record& record, const Place& place, const std::string& contender) {
    std::vector<std::vector<Slice>> courses;
    for (const Cell& cell : record.cells) {
        if (cell.workload == place.workload->id && cell.level == place.level->name &&
            cell.contender == contender && !cell.course.empty())
            courses.push_back(cell.course);
    }
    Json points = Json::array();
    for (std::size_t i = 0;; ++i) {
        std::vector<double> seconds, rates, tails;
        for (const auto& each : courses) {
            if (i >= each.size()) continue;
            seconds.push_back(each[i].seconds);
            rates.push_back(each[i].rate);
            if (std::isfinite(each[i].p99_ms)) tails.push_back(each[i].p99_ms);
        }
        if (seconds.empty()) return points;
        points.push_back({number(median(seconds)), number(median(rates)), number(median(tails))});
    }
}

Json to_json(const Record& record, const Table& table, const Row& row) {
    Json figures = Json::object();
    for (const Metric& metric : metrics()) {
        const Summary& summary = row.of(metric);
        if (summary.value.samples > 0) figures[metric.name] = to_json(summary);
    }
    Json json = {{"contender", row.contender},   {"cells", row.cells},     {"limited", row.limited},
                 {"outliers", row.outliers},     {"failure", row.failure}, {"served_share", row.served_share},
                 {"figures", std::move(figures)}};
    const Metric& decisive = metric(table.place.workload->decided_by);
    Json block_ratios = Json::array();
    for (const double ratio : ratios(figures_of(record, table.place, row.contender, decisive),
                                     figures_of(record, table.place, record.settings.reference, decisive)))
        block_ratios.push_back(number(ratio));
    json["block_ratios"] = std::move(block_ratios);
    const auto spectra = record.spectra.find(table.place.workload->id + '\n' + table.place.level->name +
                                             '\n' + row.contender + '\n');
    if (spectra != record.spectra.end()) {
        json["corrected"] = curve(spectra->second.corrected);
        json["uncorrected"] = curve(spectra->second.uncorrected);
    }
    json["shares"] = shares(record, table.place, row.contender);
    json["course"] = course(record, table.place, row.contender);
    return json;
}

Json to_json(const Record& record, const Table& table) {
    const Workload& workload = *table.place.workload;
    Json json = {{"workload", workload.id},
                 {"title", workload.title},
                 {"separates", workload.separates},
                 {"decided_by", workload.decided_by},
                 {"x_title", workload.x_title},
                 {"level", table.place.level->name},
                 {"x", table.place.level->x},
                 {"representative", table.place.level->quick},
                 {"spike", table.place.level->spike},
                 {"idle", table.place.level->load.idle},
                 {"decision", to_json(decide(record, table))},
                 {"noise", Json::object()},
                 {"rows", Json::array()}};
    for (std::size_t i = 0; i < table.noise.size(); ++i)
        json["noise"][metrics()[i].name] = number(table.noise[i]);
    for (const Row& row : table.rows) json["rows"].push_back(to_json(record, table, row));
    return json;
}

Json figures_of(const Record& record) {
    const Settings& settings = record.settings;
    std::size_t limited = 0, failed = 0;
    for (const Cell& cell : record.cells) {
        limited += cell.limits.empty() ? 0 : 1;
        failed += cell.failure.empty() ? 0 : 1;
    }
    Json json = {{"command", record.command},
                 {"elapsed", text_of_seconds(record.elapsed_s)},
                 {"cells", record.cells.size()},
                 {"limited", limited},
                 {"failed", failed},
                 {"reference", settings.reference},
                 {"twin", twin_of(settings.reference)},
                 {"goodput_limit_ms", goodput_limit_ms},
                 {"settings",
                  {{"blocks", settings.blocks},
                   {"seconds", settings.seconds},
                   {"warm-up", settings.warmup},
                   {"quick", settings.quick},
                   {"seed", std::to_string(settings.seed)},
                   {"capacity of the reference, requests/s", std::round(settings.capacity)}}},
                 {"environment", Json::array()},
                 {"metrics", Json::object()},
                 {"contenders", Json::array()},
                 {"places", Json::array()}};
    for (const auto& [what, value] : record.environment) json["environment"].push_back({what, value});
    for (const Metric& metric : metrics())
        json["metrics"][metric.name] = {{"title", metric.title}, {"more_is_better", metric.more_is_better}};
    for (const Contender& contender : contenders(settings)) json["contenders"].push_back(contender.name);
    for (const Finding& each : findings(record)) {
        json["literature"].push_back({{"id", each.id},
                                      {"claim", each.claim + " (" + each.source + ")"},
                                      {"reproduced", name(each.reproduced)},
                                      {"figures", each.figures}});
    }
    for (const Table& table : tables(record)) json["places"].push_back(to_json(record, table));
    return json;
}

// In a script element, "</script>" would end it, whatever it is part of.
std::string safe_in_script(std::string text) {
    for (std::size_t at = 0; (at = text.find('<', at)) != std::string::npos; at += 6)
        text.replace(at, 1, "\\u003c");
    return text;
}

}  // namespace

std::string html_report(const Record& record) {
    std::string page =
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
        // Whatever is in it, nothing is fetched.
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; script-src "
        "'unsafe-inline'; "
        "style-src 'unsafe-inline'; img-src data:\">\n"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
        "<title>confab compare</title>\n<style>\n";
    page += page_style;
    page += "</style>\n</head>\n<body>\n<main></main>\n<script type=\"application/json\" id=\"figures\">";
    page += safe_in_script(figures_of(record).dump());
    page += "</script>\n<script>\n";
    page += chart_library;
    page += "\n</script>\n<script>\n";
    page += page_script;
    page += "</script>\n</body>\n</html>\n";
    return page;
}

}  // namespace confab::compare
