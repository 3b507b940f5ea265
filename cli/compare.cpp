#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <random>
#include <stdexcept>

#include "bench/compare/html_report.hpp"
#include "bench/compare/literature.hpp"
#include "bench/compare/runner.hpp"
#include "bench/compare/text_report.hpp"
#include "cli/commands.hpp"

namespace confab::cli {

namespace {

using namespace confab::compare;

// A quick run has to be over in three minutes, the last server and the report included.
constexpr double quick_budget_s = 165;
constexpr double quick_seconds = 0.25, quick_warmup = 0.05;
constexpr unsigned quick_blocks = 5;
constexpr const char* quick_workloads = "W1,W3,W5,W7";

struct CompareCommand {
    std::string strategies = "all";
    std::string workloads = "all";
    std::string reference = "epoll";
    unsigned blocks = 0;
    double seconds = 0;
    double budget_s = 0;
    std::uint64_t seed = 0;
    bool quick = false, literature = false;
    std::string out, json, resume;
    std::string shown;
    std::vector<std::string> difference;
};

// An option that says the wrong thing is a fault of the command line.
template <class Parse>
auto parsed(const char* option, Parse parse) {
    try {
        return parse();
    } catch (const std::runtime_error& fault) {
        throw CLI::ValidationError(std::string(option) + ": " + fault.what());
    }
}

Settings settings_of(const CompareCommand& command, const CLI::App& app) {
    const std::uint64_t seed = command.seed > 0 ? command.seed : std::random_device()();
    if (command.literature) {
        Settings settings = literature_settings(seed);
        if (command.seconds > 0) settings.seconds = command.seconds;
        if (command.blocks > 0) settings.blocks = command.blocks;
        settings.budget_s = command.budget_s;
        return settings;
    }
    const bool names_workloads = app.get_option("--workloads")->count() > 0;
    Settings settings{
        .strategies = parsed("--strategies", [&] { return parse_strategies(command.strategies); }),
        .workloads = parsed("--workloads",
                            [&] {
                                return parse_workloads(command.quick && !names_workloads ? quick_workloads
                                                                                         : command.workloads);
                            }),
        .reference = command.reference,
        .quick = command.quick,
        .budget_s = command.budget_s > 0 ? command.budget_s
                    : command.quick      ? quick_budget_s
                                         : 0,
        .seed = seed};
    if (std::ranges::find(settings.strategies, settings.reference) == settings.strategies.end())
        settings.reference = settings.strategies.front();
    if (command.quick) {
        settings.seconds = quick_seconds;
        settings.warmup = quick_warmup;
        settings.blocks = quick_blocks;
    }
    if (command.seconds > 0) settings.seconds = command.seconds;
    if (command.blocks > 0) settings.blocks = command.blocks;
    return settings;
}

// With which the same run can be made again.
std::string command_line(const Settings& settings) {
    const auto list = [](const std::vector<std::string>& names) {
        std::string text;
        for (const std::string& name : names) text += (text.empty() ? "" : ",") + name;
        return text;
    };
    const auto number = [](double value) {
        std::string text = std::to_string(value);
        text.erase(text.find_last_not_of('0') + 1);
        if (text.back() == '.') text.pop_back();
        return text;
    };
    const std::string what = settings.literature
                                 ? " --check-literature"
                                 : (settings.quick ? " --quick --strategies " : " --strategies ") +
                                       list(settings.strategies) + " --workloads " +
                                       list(settings.workloads) + " --reference " + settings.reference;
    return "confab compare" + what + " --blocks " + std::to_string(settings.blocks) + " --seconds " +
           number(settings.seconds) +
           (settings.budget_s > 0 ? " --budget " + number(settings.budget_s) : "") + " --seed " +
           std::to_string(settings.seed);
}

Record record_of(const CompareCommand& command, const CLI::App& app) {
    if (!command.resume.empty()) return read_record(command.resume);
    Record record{
        .settings = settings_of(command, app), .environment = {}, .command = {}, .cells = {}, .spectra = {}};
    record.command = command_line(record.settings);
    record.environment = environment();
    return record;
}

// At a terminal one line that changes; elsewhere one for each tenth of the way.
class ProgressPrinter {
  public:
    void print(const Progress& progress) {
        if (at_terminal_) {
            std::fprintf(stderr, "\r%s\033[K", text_of(progress).c_str());
            if (progress.done == progress.all) std::fputs("\r\033[K", stderr);
            return;
        }
        const std::size_t tenth = progress.done * 10 / std::max<std::size_t>(progress.all, 1);
        if (tenth == told_) return;
        told_ = tenth;
        std::fprintf(stderr, "%s\n", text_of(progress).c_str());
    }

  private:
    const bool at_terminal_ = ::isatty(STDERR_FILENO) != 0;
    std::size_t told_ = 0;
};

void show(const CompareCommand& command, const Record& record, std::FILE* out) {
    std::fputs(text_report(record).c_str(), out);
    if (record.settings.literature) std::fputs(text_of(findings(record)).c_str(), out);
    if (command.out.empty()) return;
    write_file(command.out, html_report(record));
    std::fprintf(out, "the report, with charts: %s\n", command.out.c_str());
}

void compare_all(const CompareCommand& command, const CLI::App& app) {
    Record record = record_of(command, app);
    raise_descriptor_limit();
    // With the JSON there, nothing else goes to the standard output.
    std::FILE* const out = command.json == "-" ? stderr : stdout;
    const std::string file = command.json.empty() ? command.resume : command.json;
    std::fputs(heading(record).c_str(), out);
    std::fflush(out);
    ProgressPrinter printer;
    const Ending ending =
        run(record, {.program = std::filesystem::read_symlink("/proc/self/exe").string(),
                     .progress = [&printer](const Progress& progress) { printer.print(progress); },
                     .save =
                         [&file](const Record& so_far) {
                             if (!file.empty() && file != "-") write_file(file, to_json(so_far));
                         }});
    show(command, record, out);
    if (command.json == "-") std::fputs(to_json(record).c_str(), stdout);
    if (ending == Ending::complete) return;
    const std::string how =
        file.empty() || file == "-" ? "" : "; go on with: confab compare --resume " + file;
    std::fprintf(out, "%s%s\n",
                 ending == Ending::interrupted ? "interrupted: this is what there is"
                                               : "the time was over: this is what there is",
                 how.c_str());
}

void add_options(CLI::App& command, CompareCommand& compare) {
    add_option(command, "--strategies", compare.strategies,
               "Who takes part: all, or names as epoll,threadpool:64,2x1xuring (a pool's size, or processes "
               "x threads x "
               "waiting)");
    add_option(command, "--workloads", compare.workloads, "Under which loads: all, or W1 to W12");
    add_option(command, "--reference", compare.reference,
               "Whom the others are compared with; it runs twice, which shows the noise. Default: epoll, or "
               "the first");
    add_option(command, "--blocks", compare.blocks,
               "Times that everything is measured; 0: 10, or 5 of a quick run");
    add_option(command, "--seconds", compare.seconds,
               "Seconds that a load is measured; 0: 1, or 0.25 of a quick run")
        ->check(seconds_check());
    add_option(command, "--budget", compare.budget_s,
               "Seconds after which it ends with what it has; 0: none, or 165 of a quick run")
        ->check(seconds_check());
    add_option(command, "--seed", compare.seed,
               "Of the order and of what the loads leave to chance; 0: a new one");
    command.add_flag(
        "--quick", compare.quick,
        "One level of each workload, of W1,W3,W5,W7 unless --workloads says more: within three minutes");
    command
        .add_flag("--check-literature", compare.literature,
                  "See what of others' published findings this machine shows, too: some minutes")
        ->excludes("--quick", "--strategies", "--workloads", "--reference");
    add_option(command, "--out", compare.out,
               "Write a page of HTML there, with charts, that needs nothing else");
    add_option(command, "--json", compare.json,
               "Write all figures there, after each block; -: to the standard output, at the end");
    add_option(command, "--resume", compare.resume, "Go on with the run whose figures are there");
    add_option(command, "--show", compare.shown,
               "Measure nothing: show the run whose figures are there, with --out as a page, too");
    command
        .add_option("--diff", compare.difference,
                    "Measure nothing: compare two such files, the earlier one first")
        ->expected(2)
        ->type_name("FILE FILE");
}

constexpr const char* explanation =
    "Each cell is a fresh server on loopback under one load; the order is drawn anew in each block, and only "
    "figures\n"
    "of the same block are compared. A difference no larger than that between the reference and its twin is "
    "noise.\n\n"
    "  confab compare --quick                                     all strategies, within three minutes\n"
    "  confab compare --strategies epoll,uring,thread --workloads W1,W3 --json run.json\n"
    "  confab compare --resume run.json                           go on after Ctrl-C\n"
    "  confab compare --show run.json --out report.html           only show it\n"
    "  confab compare --diff before.json after.json               has it become better?\n\n"
    "What the loads are, and what the figures mean: docs/benchmarks.md";

}  // namespace

void add_compare(CLI::App& program) {
    auto options = std::make_shared<CompareCommand>();
    CLI::App& command =
        *program.add_subcommand("compare", "Compare strategies under the same loads, and what they cost");
    command.footer(explanation);
    add_options(command, *options);
    command.callback([options, &command] {
        if (!options->difference.empty()) {
            const Record before = read_record(options->difference[0]),
                         after = read_record(options->difference[1]);
            std::fputs(text_of(changes(before, after)).c_str(), stdout);
        } else if (!options->shown.empty()) {
            show(*options, read_record(options->shown), stdout);
        } else {
            compare_all(*options, command);
        }
    });
}

}  // namespace confab::cli
