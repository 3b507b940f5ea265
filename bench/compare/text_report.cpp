#include "bench/compare/text_report.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>

namespace confab::compare {

namespace {

// How wide a text is at a terminal: UTF-8's continuation bytes take no place.
std::size_t width(const std::string& text) {
    return static_cast<std::size_t>(
        std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U; }));
}

std::string list(const std::vector<std::string>& names) {
    std::string text;
    for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
    return text;
}

std::string served(const Row& row) {
    if (!row.failure.empty()) return "failed";
    return row.served_share >= 1 ? "all" : fmt::format("{:.0f} %", 100 * row.served_share);
}

std::string against_reference(const Summary& summary) {
    if (summary.ratio.samples == 0) return "-";
    return fmt::format("{:.2f} ({:.2f}-{:.2f})", summary.ratio.value, summary.ratio.low, summary.ratio.high);
}

std::string memory(const Row& row) {
    const double own = row.of(metric("memory_kib")).value.value;
    if (!std::isfinite(own)) return "-";
    return text_of(own) + " + " + text_of(row.of(metric("kernel_kib")).value.value);
}

std::string table_text(const Record& record, const Table& table) {
    const Metric& decisive = metric(table.place.workload->decided_by);
    const double noise = table.noise[static_cast<std::size_t>(&decisive - metrics().data())];
    const bool has_memory = table.place.level->load.idle > 0;
    std::vector<std::string> head{"",         "requests/s", "p50 ms", "p99 ms", "CPU us", "user + kernel",
                                  "switches", "calls",      "served"};
    if (has_memory) head.emplace_back("KiB + kernel");
    head.push_back(std::string(decisive.title) + " / " + record.settings.reference);
    head.emplace_back("verdict");
    std::vector<std::vector<std::string>> rows{std::move(head)};
    for (const Row& row : table.rows) {
        const auto cell = [&row](const char* name) { return text_of(row.of(metric(name)).value.value); };
        const Summary& decided = row.of(decisive);
        std::vector<std::string> line{
            row.contender + (row.limited > 0 ? "*" : "") + (row.outliers > 0 ? "!" : ""),
            cell("rate"),
            cell("p50_ms"),
            cell("p99_ms"),
            cell("cpu_us"),
            cell("user_us") + " + " + cell("system_us"),
            cell("switches"),
            cell("system_calls"),
            served(row)};
        if (has_memory) line.push_back(memory(row));
        line.push_back(against_reference(decided));
        const bool is_reference = row.contender == record.settings.reference;
        const bool is_twin = row.contender == twin_of(record.settings.reference);
        line.emplace_back(is_reference ? "reference" : is_twin ? "noise" : name(decided.verdict));
        rows.push_back(std::move(line));
    }
    std::string notes;
    if (std::ranges::any_of(table.rows, [](const Row& row) { return row.limited > 0; })) {
        notes +=
            "* in some blocks the generator was in the way: left out of latency, or of the rate, not of the "
            "cost\n";
    }
    if (std::ranges::any_of(table.rows, [](const Row& row) { return row.outliers > 0; }))
        notes += "! some blocks lie far from the others; they count all the same\n";
    return fmt::format("\n{} {}: {}\nseparates: {}\n\n{}{}noise of {}: {}\n{}\n", table.place.workload->id,
                       table.place.workload->title, table.place.level->name, table.place.workload->separates,
                       aligned(rows), notes, decisive.title, text_of_noise(noise),
                       decide(record, table).text());
}

}  // namespace

const char* name(Verdict verdict) {
    switch (verdict) {
        case Verdict::better:
            return "better";
        case Verdict::worse:
            return "worse";
        case Verdict::indistinguishable:
            return "indistinguishable";
        case Verdict::unclear:
            break;
    }
    return "too few blocks";
}

std::string text_of(double figure) {
    if (!std::isfinite(figure)) return "-";
    const double size = std::abs(figure);
    return fmt::format("{:.{}f}", figure,
                       size >= 100 || figure == 0 ? 0
                       : size >= 10               ? 1
                       : size >= 0.1              ? 2
                                                  : 3);
}

std::string text_of_noise(double floor) {
    return std::isfinite(floor) ? fmt::format("{:.1f} %", 100 * (floor - 1)) : "unknown";
}

std::string text_of_seconds(double seconds) {
    const auto whole = static_cast<long>(std::ceil(std::max(seconds, 0.0)));
    if (whole < 60) return fmt::format("{} s", whole);
    if (whole < 3600) return fmt::format("{} min {} s", whole / 60, whole % 60);
    return fmt::format("{} h {} min", whole / 3600, whole % 3600 / 60);
}

std::string aligned(const std::vector<std::vector<std::string>>& rows) {
    std::vector<std::size_t> widths;
    for (const auto& row : rows) {
        widths.resize(std::max(widths.size(), row.size()));
        for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width(row[i]));
    }
    std::string text;
    for (const auto& row : rows) {
        for (std::size_t i = 0; i < row.size(); ++i) {
            const std::string space(widths[i] - width(row[i]), ' ');
            text += i == 0 ? row[i] + space : "  " + space + row[i];
        }
        text += '\n';
    }
    return text;
}

std::string heading(const Record& record) {
    const Settings& settings = record.settings;
    return fmt::format(
        "{} cells, about {}: {} blocks of {} and {} again under {} loads, {} s each after {} s of warm-up; "
        "seed {}\n"
        "repeat it with: {}\n",
        without(plan(settings), record.cells).size(), text_of_seconds(expected_run_seconds(record)),
        settings.blocks, list(settings.strategies), settings.reference, places(settings).size(),
        settings.seconds, settings.warmup, settings.seed, record.command);
}

std::string text_report(const Record& record) {
    std::string text;
    for (const Table& table : tables(record)) text += table_text(record, table);
    if (text.empty()) return "nothing has been measured\n";
    text +=
        "\ncosts are the server's, a request: processor time, context switches (it had nothing to do), "
        "system calls\n";
    if (record.settings.capacity > 0) {
        text += fmt::format("capacity of {}: {:.0f} requests/s\n", record.settings.reference,
                            record.settings.capacity);
    }
    return text;
}

std::string text_of(const std::vector<Change>& changes) {
    if (changes.empty()) return "the two have nothing in common\n";
    std::vector<std::vector<std::string>> rows{{"", "figure", "after / before", "noise", "verdict"}};
    for (const Change& change : changes) {
        rows.push_back(
            {change.place.workload->id + " " + change.place.level->name + ", " + change.contender,
             metric(change.place.workload->decided_by).title,
             fmt::format("{:.2f} ({:.2f}-{:.2f})", change.ratio.value, change.ratio.low, change.ratio.high),
             text_of_noise(change.noise), name(change.verdict)});
    }
    return aligned(rows);
}

std::string text_of(const Progress& progress) {
    return fmt::format("{:3.0f} %  {} of {}, {} left; {} {}, {}",
                       100 * static_cast<double>(progress.done) /
                           static_cast<double>(std::max<std::size_t>(progress.all, 1)),
                       progress.done, progress.all, text_of_seconds(progress.left_s), progress.cell->workload,
                       progress.cell->level, progress.cell->contender);
}

}  // namespace confab::compare
