#include "bench/compare/record.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>
#include <system_error>

namespace confab::compare {

namespace {

using Json = nlohmann::ordered_json;

constexpr int format_version = 1;

constexpr std::array metric_table{
    Metric{"rate", "requests/s", &Figures::rate, true},
    Metric{"goodput", "requests/s within 10 ms", &Figures::goodput, true},
    Metric{"p50_ms", "p50, ms", &Figures::p50_ms, false},
    Metric{"p99_ms", "p99, ms", &Figures::p99_ms, false},
    Metric{"max_ms", "longest, ms", &Figures::max_ms, false},
    Metric{"cpu_us", "processor time a request, us", &Figures::cpu_us, false},
    Metric{"user_us", "in the program, us", &Figures::user_us, false},
    Metric{"system_us", "in the kernel, us", &Figures::system_us, false},
    Metric{"switches", "switches a request", &Figures::switches, false},
    Metric{"preemptions", "preemptions a request", &Figures::preemptions, false},
    Metric{"system_calls", "system calls a request", &Figures::system_calls, false},
    Metric{"controls", "preparing calls a request", &Figures::controls, false},
    Metric{"events", "events a wait", &Figures::events, true},
    Metric{"memory_kib", "memory a connection, KiB", &Figures::memory_kib, false},
    Metric{"kernel_kib", "kernel memory a connection, KiB", &Figures::kernel_kib, false},
    Metric{"served", "connections served", &Figures::served, true},
    Metric{"starved", "connections starved", &Figures::starved, false},
    Metric{"bystanders", "bystanders", &Figures::bystanders, true},
    Metric{"never_sent", "messages never sent", &Figures::never_sent, false},
    Metric{"busiest", "busiest thread's share", &Figures::busiest, false},
    Metric{"fairness", "fairness (Jain)", &Figures::fairness, true},
    Metric{"recovery_s", "recovery, s", &Figures::recovery_s, false},
    Metric{"hiccup_p99_ms", "generator's hiccups p99, ms", &Figures::hiccup_p99_ms, false},
    Metric{"generator_cores", "generator's cores", &Figures::generator_cores, false},
    Metric{"stolen_percent", "stolen time, %", &Figures::stolen_percent, false},
};

// JSON has no number for what is unknown.
Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }
double number(const Json& json) { return json.is_null() ? unknown : json.get<double>(); }

Json to_json(const Settings& settings) {
    return {{"strategies", settings.strategies}, {"workloads", settings.workloads},
            {"reference", settings.reference},   {"blocks", settings.blocks},
            {"seconds", settings.seconds},       {"warmup", settings.warmup},
            {"quick", settings.quick},           {"literature", settings.literature},
            {"budget_s", settings.budget_s},     {"seed", settings.seed},
            {"capacity", settings.capacity}};
}

Settings settings_of(const Json& json) {
    return {.strategies = json.at("strategies"),
            .workloads = json.at("workloads"),
            .reference = json.at("reference"),
            .blocks = json.at("blocks"),
            .seconds = json.at("seconds"),
            .warmup = json.at("warmup"),
            .quick = json.at("quick"),
            .literature = json.at("literature"),
            .budget_s = json.at("budget_s"),
            .seed = json.at("seed"),
            .capacity = json.at("capacity")};
}

Json to_json(const Cell& cell) {
    Json figures = Json::object();
    for (const Metric& each : metric_table) {
        const double value = cell.figures.*each.figure;
        if (std::isfinite(value)) figures[each.name] = value;
    }
    Json json = {{"block", cell.block},
                 {"workload", cell.workload},
                 {"level", cell.level},
                 {"contender", cell.contender},
                 {"figures", std::move(figures)}};
    if (!cell.failure.empty()) json["failure"] = cell.failure;
    if (!cell.limits.empty()) json["limits"] = cell.limits;
    if (!cell.answers.empty()) json["answers"] = cell.answers;
    for (const Slice& slice : cell.course)
        json["course"].push_back({number(slice.seconds), number(slice.rate), number(slice.p99_ms)});
    return json;
}

Cell cell_of(const Json& json) {
    Cell cell{.block = json.at("block"),
              .workload = json.at("workload"),
              .level = json.at("level"),
              .contender = json.at("contender"),
              .figures = {},
              .failure = json.value("failure", std::string()),
              .limits = json.value("limits", std::vector<std::string>()),
              .course = {},
              .answers = json.value("answers", std::vector<std::uint32_t>())};
    for (const auto& [name, value] : json.at("figures").items())
        cell.figures.*metric(name).figure = number(value);
    if (json.contains("course")) {
        for (const Json& slice : json.at("course")) {
            cell.course.push_back(
                {.seconds = number(slice.at(0)), .rate = number(slice.at(1)), .p99_ms = number(slice.at(2))});
        }
    }
    return cell;
}

std::runtime_error failure_of(const char* what, const std::string& path) {
    return std::runtime_error(std::string("cannot ") + what + ' ' + path + ": " +
                              std::error_code(errno, std::generic_category()).message());
}

}  // namespace

std::span<const Metric> metrics() { return metric_table; }

const Metric& metric(std::string_view name) {
    const auto found = std::ranges::find(metric_table, name, &Metric::name);
    if (found == metric_table.end())
        throw std::runtime_error("there is no figure called " + std::string(name));
    return *found;
}

// Sixteen steps to each doubling.
void add(Spectrum& spectrum, const load::Histogram& histogram) {
    constexpr int kept_bits = 5;
    for (const load::Histogram::Bucket& bucket : histogram.buckets()) {
        auto end = static_cast<std::uint64_t>(load::Histogram::upper_end(bucket.index).count());
        const int dropped = std::max(static_cast<int>(std::bit_width(end)) - kept_bits, 0);
        end |= (std::uint64_t{1} << static_cast<unsigned>(dropped)) - 1;
        const double microseconds = static_cast<double>(end) / 1e3;
        const auto at =
            std::ranges::lower_bound(spectrum, microseconds, {}, [](const auto& pair) { return pair.first; });
        if (at != spectrum.end() && at->first == microseconds) {
            at->second += bucket.count;
        } else {
            spectrum.insert(at, {microseconds, bucket.count});
        }
    }
}

std::string spectrum_key(const Cell& cell) {
    return cell.workload + '\n' + cell.level + '\n' + cell.contender + '\n';
}

std::string to_json(const Record& record) {
    Json json = {{"confab_compare", format_version}, {"command", record.command},
                 {"elapsed_s", record.elapsed_s},    {"settings", to_json(record.settings)},
                 {"environment", Json::array()},     {"cells", Json::array()},
                 {"spectra", Json::array()}};
    for (const auto& [name, value] : record.environment) json["environment"].push_back({name, value});
    for (const Cell& cell : record.cells) json["cells"].push_back(to_json(cell));
    for (const auto& [key, spectra] : record.spectra) {
        json["spectra"].push_back(
            {{"of", key}, {"corrected_us", spectra.corrected}, {"uncorrected_us", spectra.uncorrected}});
    }
    return json.dump() + '\n';
}

Record from_json(const std::string& text) {
    try {
        const Json json = Json::parse(text);
        if (json.at("confab_compare") != format_version)
            throw std::runtime_error("it is of another version of confab");
        Record record{.settings = settings_of(json.at("settings")),
                      .environment = {},
                      .command = json.at("command"),
                      .elapsed_s = json.at("elapsed_s"),
                      .cells = {},
                      .spectra = {}};
        for (const Json& entry : json.at("environment"))
            record.environment.emplace_back(entry.at(0), entry.at(1));
        for (const Json& cell : json.at("cells")) record.cells.push_back(cell_of(cell));
        for (const Json& spectra : json.at("spectra")) {
            record.spectra[spectra.at("of")] = {.corrected = spectra.at("corrected_us"),
                                                .uncorrected = spectra.at("uncorrected_us")};
        }
        return record;
    } catch (const nlohmann::json::exception& fault) {
        throw std::runtime_error(std::string("it is no comparison: ") + fault.what());
    }
}

Record read_record(const std::string& path) {
    std::ifstream file(path);
    std::ostringstream text;
    if (!file || !(text << file.rdbuf())) throw failure_of("read", path);
    try {
        return from_json(text.str());
    } catch (const std::runtime_error& fault) {
        throw std::runtime_error(path + ": " + fault.what());
    }
}

void write_file(const std::string& path, const std::string& text) {
    // What is no plain file, such as /dev/stdout, cannot be replaced.
    const std::string written = path.starts_with("/dev/") ? path : path + ".new";
    std::FILE* const file = std::fopen(written.c_str(), "we");
    if (file == nullptr) throw failure_of("write", path);
    const bool whole = std::fwrite(text.data(), 1, text.size(), file) == text.size();
    if (const bool closed = std::fclose(file) == 0; !whole || !closed) {
        const int why = errno;
        if (written != path) ::unlink(written.c_str());
        errno = why;
        throw failure_of("write", path);
    }
    if (written != path && std::rename(written.c_str(), path.c_str()) != 0) throw failure_of("write", path);
}

}  // namespace confab::compare
