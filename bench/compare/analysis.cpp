#include "bench/compare/analysis.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>

#include "bench/compare/text_report.hpp"

namespace confab::compare {

namespace {

// A strategy that is worse by less than this is worse, but no reason to warn of it.
constexpr double worth_avoiding = 1.5;

bool is_of(const Cell& cell, const Place& place, const std::string& contender) {
    return cell.workload == place.workload->id && cell.level == place.level->name &&
           cell.contender == contender;
}

Row row_of(const Record& record, const Place& place, const std::string& contender) {
    Row row{.contender = contender, .failure = {}, .summaries = {}};
    for (const Cell& cell : record.cells) {
        if (!is_of(cell, place, contender)) continue;
        ++row.cells;
        if (!counts(cell, metric(place.workload->decided_by)) || !counts(cell, metric("p99_ms")))
            ++row.limited;
        if (row.failure.empty()) row.failure = cell.failure;
        const double all = cell.figures.served + cell.figures.starved;
        if (all > 0) row.served_share = std::min(row.served_share, cell.figures.served / all);
    }
    return row;
}

double decided_by(const Metric& metric, double figure) { return metric.more_is_better ? -figure : figure; }

// How many times as good the other one is: 1.5 for "one and a half times the cost" and for "two thirds of the
// rate".
double times_worse(const Metric& metric, double ratio) { return metric.more_is_better ? 1 / ratio : ratio; }

std::string comparison(const Metric& metric, const Interval& ratio) {
    if (metric.more_is_better) {
        return fmt::format("{:.0f} % of the {} (95 % sure: {:.0f} to {:.0f} %)", 100 * ratio.value,
                           metric.title, 100 * ratio.low, 100 * ratio.high);
    }
    return fmt::format("{:.3g} times the {} (95 % sure: {:.3g} to {:.3g})", ratio.value, metric.title,
                       ratio.low, ratio.high);
}

// What explains it, where the two differ enough: switches and system calls.
std::string explanation(const Row& row, const Row& best) {
    std::string text;
    for (const char* const name : {"switches", "system_calls", "preemptions"}) {
        const Metric& metric = compare::metric(name);
        const double mine = row.of(metric).value.value, its = best.of(metric).value.value;
        if (!(mine > 1.3 * its + 0.05)) continue;
        text +=
            fmt::format("{}{:.2g} {} against {:.2g}", text.empty() ? "; " : ", ", mine, metric.title, its);
    }
    return text;
}

}  // namespace

bool counts(const Cell& cell, const Metric& metric) {
    constexpr double busy = 0.95;
    if (cell.limits.empty()) return true;
    const std::string_view name = metric.name;
    // A pause takes from the rate of a block what it takes, and the median sees to that.
    if (name == "rate") return !(cell.figures.generator_cores >= busy);
    return name != "goodput" && name != "p50_ms" && name != "p99_ms" && name != "max_ms" &&
           name != "recovery_s";
}

const Summary& Row::of(const Metric& metric) const {
    return summaries[static_cast<std::size_t>(&metric - metrics().data())];
}

std::vector<double> figures_of(const Record& record, const Place& place, const std::string& contender,
                               const Metric& metric) {
    std::vector<double> figures(record.settings.blocks, unknown);
    for (const Cell& cell : record.cells) {
        if (!is_of(cell, place, contender) || cell.block >= figures.size()) continue;
        if (!counts(cell, metric)) continue;
        figures[cell.block] = cell.figures.*metric.figure;
    }
    return figures;
}

std::vector<double> ratios(const std::vector<double>& mine, const std::vector<double>& theirs) {
    std::vector<double> all;
    for (std::size_t i = 0; i < std::min(mine.size(), theirs.size()); ++i) {
        const double ratio = mine[i] / theirs[i];
        if (std::isfinite(ratio) && ratio > 0) all.push_back(ratio);
    }
    return all;
}

std::vector<Table> tables(const Record& record) {
    const Settings& settings = record.settings;
    std::vector<Table> all;
    for (const Place& place : places(settings)) {
        Table table{.place = place, .rows = {}, .noise = {}};
        const std::string twin = twin_of(settings.reference);
        for (const Contender& contender : contenders(settings)) {
            if (contender.can(*place.level)) table.rows.push_back(row_of(record, place, contender.name));
        }
        for (const Metric& metric : metrics()) {
            const auto reference = figures_of(record, place, settings.reference, metric);
            const auto twins = ratios(figures_of(record, place, twin, metric), reference);
            const double noise = noise_floor(median_interval(twins, settings.seed));
            table.noise.push_back(noise);
            for (Row& row : table.rows) {
                const auto figures = figures_of(record, place, row.contender, metric);
                std::vector<double> known;
                std::ranges::copy_if(figures, std::back_inserter(known),
                                     [](double figure) { return std::isfinite(figure); });
                Summary summary{.value = median_interval(known, settings.seed),
                                .ratio = median_interval(ratios(figures, reference), settings.seed)};
                summary.verdict = row.contender == settings.reference || row.contender == twin
                                      ? Verdict::indistinguishable
                                      : verdict(summary.ratio, noise, metric.more_is_better);
                if (&metric == &compare::metric(place.workload->decided_by)) row.outliers = outliers(known);
                row.summaries.push_back(summary);
            }
        }
        if (std::ranges::any_of(table.rows, [](const Row& row) { return row.cells > 0; }))
            all.push_back(std::move(table));
    }
    return all;
}

Decision decide(const Record& record, const Table& table) {
    const Metric& metric = compare::metric(table.place.workload->decided_by);
    const double noise = table.noise[static_cast<std::size_t>(&metric - metrics().data())];
    const std::string twin = twin_of(record.settings.reference);
    Decision decision;
    const Row* best = nullptr;
    for (const Row& row : table.rows) {
        if (row.contender == twin || !row.is_sound() || row.of(metric).value.samples < fewest_pairs) continue;
        if (best == nullptr ||
            decided_by(metric, row.of(metric).value.value) < decided_by(metric, best->of(metric).value.value))
            best = &row;
    }
    if (best == nullptr) {
        decision.why =
            "nobody served every connection without a fault, with a figure of its own in three blocks or "
            "more";
        return decision;
    }
    decision.pick = best->contender;
    const Interval& value = best->of(metric).value;
    decision.why = fmt::format("{}: {} (95 % sure: {} to {}, noise {})", metric.title, text_of(value.value),
                               text_of(value.low), text_of(value.high), text_of_noise(noise));
    const auto best_figures = figures_of(record, table.place, best->contender, metric);
    for (const Row& row : table.rows) {
        if (&row == best || row.contender == twin || row.cells == 0) continue;
        if (!row.failure.empty()) {
            decision.avoid.push_back({row.contender, row.failure});
            continue;
        }
        if (row.served_share < 1) {
            decision.avoid.push_back({row.contender, fmt::format("it served {:.0f} % of the connections",
                                                                 100 * row.served_share)});
            continue;
        }
        const Interval ratio =
            median_interval(ratios(figures_of(record, table.place, row.contender, metric), best_figures),
                            record.settings.seed);
        const Verdict found = verdict(ratio, noise, metric.more_is_better);
        if (found == Verdict::unclear) decision.unclear.push_back(row.contender);
        if (found == Verdict::indistinguishable || found == Verdict::better)
            decision.within_noise.push_back(row.contender);
        if (found == Verdict::worse && times_worse(metric, ratio.value) >= worth_avoiding) {
            decision.avoid.push_back({row.contender, comparison(metric, ratio) + " of " + best->contender +
                                                         explanation(row, *best)});
        }
    }
    return decision;
}

std::string Decision::text() const {
    const auto list = [](const std::vector<std::string>& names) {
        std::string text;
        for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
        return text;
    };
    std::string text = pick.empty() ? "no choice: " + why : "pick " + pick + " (" + why + ")";
    if (!within_noise.empty()) text += "; within noise: " + list(within_noise);
    if (!unclear.empty()) text += "; too few blocks to tell: " + list(unclear);
    for (const Avoided& each : avoid) text += "; avoid " + each.contender + ": " + each.why;
    return text;
}

std::vector<Change> changes(const Record& before, const Record& after) {
    std::vector<Change> all;
    const std::vector<Table> old_tables = tables(before);
    for (const Table& now : tables(after)) {
        const auto then = std::ranges::find_if(
            old_tables, [&now](const Table& table) { return table.place.level == now.place.level; });
        if (then == old_tables.end()) continue;
        const Metric& metric = compare::metric(now.place.workload->decided_by);
        const auto index = static_cast<std::size_t>(&metric - metrics().data());
        const double noise =
            std::isnan(now.noise[index]) ? now.noise[index] : std::max(then->noise[index], now.noise[index]);
        for (const Row& row : now.rows) {
            const auto its = std::ranges::find(then->rows, row.contender, &Row::contender);
            if (its == then->rows.end()) continue;
            const auto ratio =
                ratio_of_medians(figures_of(after, now.place, row.contender, metric),
                                 figures_of(before, now.place, row.contender, metric), after.settings.seed);
            if (ratio.samples == 0) continue;
            all.push_back({.place = now.place,
                           .contender = row.contender,
                           .ratio = ratio,
                           .noise = noise,
                           .verdict = verdict(ratio, noise, metric.more_is_better)});
        }
    }
    return all;
}

}  // namespace confab::compare
