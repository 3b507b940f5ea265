#include <unistd.h>

#include <cstdio>
#include <memory>
#include <optional>
#include <stdexcept>
#include <vector>

#include "cli/commands.hpp"
#include "clients/load/find_max.hpp"
#include "clients/load/live_view.hpp"
#include "clients/load/report.hpp"
#include "clients/load/run.hpp"

namespace confab::cli {

namespace {

using namespace confab::load;

constexpr int faults_found = 1;
constexpr int slo_missed = 3;
constexpr int slo_unclear = 4;

struct LoadCommand {
    LoadOptions options;
    std::string target;
    std::string app = "echo";
    std::string arrivals = "constant";
    std::string waiting = "uring";
    double rate = 0;
    double duration = 10, warmup = 1, grace = 5, connect_timeout = 10;
    std::vector<std::string> slo_texts;
    std::vector<Slo> slos;
    bool find_max = false;
    std::string json, hgrm, profile;
};

Duration seconds(double value) {
    return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(value));
}

// Null: nowhere.
void print(std::FILE* out, const std::string& text) {
    if (out == nullptr) return;
    std::fputs(text.c_str(), out);
    std::fflush(out);
}

/// Prints a line a second.
class LinePrinter final : public Observer {
  public:
    explicit LinePrinter(std::FILE* out) : out_(out) {}

    void measured(const Block& block) override {
        sum_.length += block.length;
        sum_.messages += block.messages;
        latency_.add(block.latency);
        at_ += block.length;
        if (sum_.length < interval) return;
        sum_.latency = latency_.buckets();
        print(out_, progress_line(at_, sum_));
        sum_ = {};
        latency_.clear();
    }

  private:
    // A block may end some milliseconds early.
    static constexpr Duration interval = std::chrono::milliseconds(950);

    std::FILE* const out_;
    Block sum_;
    Histogram latency_;
    Duration at_{};
};

void write_file(const std::string& path, const std::string& text) {
    if (path == "-") {
        std::fputs(text.c_str(), stdout);
        return;
    }
    std::FILE* const file = std::fopen(path.c_str(), "we");
    const bool written = file != nullptr && std::fputs(text.c_str(), file) >= 0;
    const bool closed = file != nullptr && std::fclose(file) == 0;
    if (!written || !closed) {
        throw std::runtime_error("cannot write " + path + ": " +
                                 std::error_code(errno, std::generic_category()).message());
    }
}

App app_named(const std::string& name) {
    if (name == "chat") return App::chat;
    if (name == "http") return App::http;
    return name == "upper" ? App::upper : App::echo;
}

LoadOptions options_of(const LoadCommand& command) {
    LoadOptions options = command.options;
    options.app = app_named(command.app);
    const HttpTarget http = http_target(command.target);
    options.http_host = http.host;
    options.http_path = http.path;
    options.spacing = command.arrivals == "poisson" ? Spacing::poisson : Spacing::even;
    options.duration = seconds(command.duration);
    if (!command.profile.empty()) {
        if (command.rate > 0 || command.find_max)
            throw CLI::ValidationError("--profile: not with --rate or --find-max");
        const RateProfile profile = *RateProfile::parse(command.profile);
        options.rate = profile.after_warmup(command.warmup);
        options.duration = seconds(profile.seconds());
    } else if (command.rate > 0) {
        options.rate = RateProfile(command.rate);
    }
    options.warmup = seconds(command.warmup);
    options.grace = seconds(command.grace);
    options.connect_limit = seconds(command.connect_timeout);
    options.waiting = *waiting_named(command.waiting);
    if (command.find_max && command.slos.size() != 1)
        throw CLI::ValidationError("--find-max: needs one --slo");
    if (const std::string fault = options.fault(); !fault.empty()) throw CLI::ValidationError(fault);
    return options;
}

// Each connection is a descriptor, and so are some other things.
void make_room_for(std::size_t connections) {
    constexpr std::size_t others = 64;
    const std::size_t limit = raise_descriptor_limit();
    if (connections + others <= limit) return;
    throw std::runtime_error(std::to_string(connections) +
                             " connections need as many descriptors, and there may be " +
                             std::to_string(limit) + " (see ulimit -n)");
}

Endpoint server_of(const LoadCommand& command) {
    const auto server = resolve_target(command.target);
    if (!server) throw std::runtime_error(command.target + ": " + server.error());
    return *server;
}

int status_of(Verdict verdict) {
    switch (verdict) {
        case Verdict::held:
            return 0;
        case Verdict::missed:
            return slo_missed;
        case Verdict::unclear:
            break;
    }
    return slo_unclear;
}

// One load; the exit status.
int measure(const LoadCommand& command, const LoadOptions& options, std::FILE* out) {
    print(out, heading(options, command.target));
    const LoadResult result = [&] {
        const bool at_terminal =
            out != nullptr && ::isatty(STDIN_FILENO) != 0 && ::isatty(STDOUT_FILENO) != 0;
        const auto observer = at_terminal ? make_live_view(options) : std::make_unique<LinePrinter>(out);
        return run_load(options, server_of(command), *observer);
    }();
    if (!result.warning.empty()) std::fprintf(stderr, "confab: %s\n", result.warning.c_str());
    print(out, summary(options, result));
    int status = 0;
    for (const Slo& slo : command.slos) {
        const Judgement judgement = judge(slo, result);
        print(out, verdict_line(slo, judgement));
        // One that is missed is missed, whatever the others.
        if (judgement.verdict == Verdict::missed || status == 0) status = status_of(judgement.verdict);
    }
    if (!command.json.empty()) write_file(command.json, json(options, result, command.slos, command.target));
    if (!command.hgrm.empty()) write_file(command.hgrm, result.corrected.hgrm());
    if (result.faults.all() == 0) return status;
    if (out == nullptr) std::fprintf(stderr, "confab: %s\n", fault_list(result).c_str());
    return faults_found;
}

// Loads at one rate after the other; the exit status.
int find_max(const LoadCommand& command, LoadOptions options, std::FILE* out) {
    const Slo& slo = command.slos.front();
    const Endpoint server = server_of(command);
    Observer silent;
    std::uint64_t faults = 0;
    const auto probe = [&](double rate) {
        options.rate = RateProfile(rate);
        const LoadResult result = run_load(options, server, silent);
        if (result.interrupted) throw std::runtime_error("interrupted");
        faults += result.faults.all();
        Probe found{.evidence = evidence(slo, result.blocks), .failure = probe_failure(rate, result)};
        print(out, probe_line(rate, slo, result, found.failure));
        return found;
    };
    print(out, "searching the highest rate at " + command.target + " with " + slo.text() + "\n");
    const RateInterval interval =
        find_max_rate(slo, command.rate > 0 ? RateSearch{.start = command.rate} : RateSearch{}, probe);
    print(out, interval_text(interval));
    if (!command.json.empty()) write_file(command.json, json(slo, interval, command.target));
    if (faults > 0) return faults_found;
    if (interval.held == 0) return slo_missed;
    return interval.is_narrow ? 0 : slo_unclear;
}

void load(const LoadCommand& command) {
    const LoadOptions options = options_of(command);
    make_room_for(options.connections + options.bystanders());
    // With the JSON there, nothing else goes to the standard output.
    std::FILE* const out = command.json == "-" ? nullptr : stdout;
    const int status = command.find_max ? find_max(command, options, out) : measure(command, options, out);
    if (status != 0) throw ExitWith(status);
}

CLI::Validator target_check() {
    return CLI::Validator(
        [](const std::string& text) {
            const std::string fault = target_fault(text);
            return fault.empty() ? fault : text + ": " + fault;
        },
        "TARGET");
}

CLI::Validator slo_check() {
    return CLI::Validator(
        [](const std::string& text) {
            const auto slo = Slo::parse(text);
            return slo ? std::string() : text + ": " + slo.error();
        },
        "SLO");
}

CLI::Validator profile_check() {
    return CLI::Validator(
        [](const std::string& text) {
            const auto profile = RateProfile::parse(text);
            return profile ? std::string() : text + ": " + profile.error();
        },
        "PROFILE");
}

// Puts what `add` adds under a heading of its own in the help.
template <class Add>
void group(CLI::App& command, const std::string& heading, Add add) {
    const std::size_t before = command.get_options().size();
    add();
    const std::vector<CLI::Option*> options = command.get_options();
    for (std::size_t i = before; i < options.size(); ++i) options[i]->group(heading);
}

void add_shape(CLI::App& command, LoadCommand& load) {
    add_option(command, "--app", load.app,
               "What the server does: echo sends all back, upper in capital letters, chat passes lines on to "
               "a room, http "
               "answers GET requests")
        ->check(CLI::IsMember({"echo", "upper", "chat", "http"}));
    add_option(command, "--connections", load.options.connections, "Connections, up to a million");
    add_option(command, "--size", load.options.size, "Bytes of a message");
    add_option(command, "--pipeline", load.options.pipeline, "Messages under way on a connection, at most");
    command.add_flag("--churn", load.options.churn,
                     "A connection for each message: connect, send, receive, close");
    command.add_flag("--any-body", load.options.any_body,
                     "Http: answers may differ; else each must be as the first one was");
    add_option(
        command, "--rooms", load.options.rooms,
        "Chat: rooms, the second half as large as the first, the third a third; 1: where the server puts us");
    add_option(
        command, "--burst", load.options.burst,
        "Chat: in each room one speaker at a time says so many lines at once, the next one when all have "
        "heard them; 0: all speak when they may");
    add_option(command, "--session", load.options.session,
               "Chat: lines after which a speaker leaves and comes back; 0: he stays");
    add_option(command, "--slow-readers", load.options.slow_readers,
               "Connections that send all they can and hardly read, beside the others; chat: members who "
               "hardly read, "
               "one a room as far as they go. What becomes of them is no fault");
    add_option(command, "--idle", load.options.idle,
               "Echo, upper: connections beside the others that say something once, before them");
    add_option(command, "--dribblers", load.options.dribblers,
               "Echo, upper: connections beside the others that send a byte a second");
}

void add_open_loop(CLI::App& command, LoadCommand& load) {
    add_option(command, "--rate", load.rate, "Messages a second in all; 0: closed loop")
        ->check(CLI::Range(0.0, 1e9));
    add_option(command, "--arrivals", load.arrivals, "constant gaps, or poisson: as from many people")
        ->check(CLI::IsMember({"constant", "poisson"}));
    add_option(
        command, "--profile", load.profile,
        "Ramps, steps and spikes, such as 10:0-5000,30:5000,1:20000 (seconds:rate or seconds:rate-rate); "
        "instead of --rate and --duration")
        ->check(profile_check());
    add_option(command, "--seed", load.options.seed, "Of what is left to chance");
}

void add_time(CLI::App& command, LoadCommand& load) {
    add_option(command, "--duration", load.duration, "Seconds to measure")->check(seconds_check());
    add_option(command, "--warmup", load.warmup, "Seconds of load before that")->check(seconds_check());
    add_option(command, "--settle", load.options.settle,
               "Answers that connections get, on average, before the warm-up");
    add_option(command, "--count", load.options.count,
               "Messages after which it ends, warm-up included; 0: only time counts");
    add_option(command, "--grace", load.grace, "Seconds to wait at the end for what has no answer yet")
        ->check(seconds_check());
    add_option(command, "--connect-timeout", load.connect_timeout, "Seconds until a connection is made")
        ->check(seconds_check());
}

void add_judgement(CLI::App& command, LoadCommand& load) {
    add_option(command, "--slo", load.slo_texts,
               "A promise to judge by, such as p99<10ms or max<1s; repeatable")
        ->allow_extra_args(false)
        ->check(slo_check());
    command.add_flag(
        "--find-max", load.find_max,
        "Search the highest --rate (begins there, or at 1000) that holds the --slo; each try lasts "
        "--duration");
}

void add_generator(CLI::App& command, LoadCommand& load) {
    add_option(command, "--threads", load.options.threads, "Threads that generate the load");
    add_option(command, "--waiting", load.waiting, "How they wait: uring, epoll, poll")
        ->check(CLI::IsMember({"uring", "epoll", "poll"}));
    add_option(command, "--pid", load.options.server,
               "The server's process: its processor time is shown, too")
        ->check(CLI::Range(0, 1 << 30));
    add_option(command, "--json", load.json, "Write all figures there, as JSON; -: to the standard output");
    add_option(command, "--hgrm", load.hgrm, "Write the latencies there, in HdrHistogram's text format");
}

constexpr const char* explanation =
    "Closed loop: every connection sends as soon as it is answered. With --rate, open loop: messages are due "
    "at\n"
    "that rate whatever the server does, and latency counts from when they were due.\n\n"
    "  confab load 127.0.0.1:8080                                   how much can it do?\n"
    "  confab load 127.0.0.1:8080 --rate 5000 --arrivals poisson    how long do people wait?\n"
    "  confab load 127.0.0.1:8080 --slo 'p99<10ms' --find-max       how many of them can it bear?\n"
    "  confab load http://127.0.0.1:8080/page --app http            the same of any web server\n\n"
    "Exit status: 0 all is well, 1 faults or failure, 2 wrong usage, 3 an --slo missed, 4 too noisy to "
    "tell.\n"
    "What the figures mean: docs/benchmarks.md";

}  // namespace

void add_load(CLI::App& program) {
    auto options = std::make_shared<LoadCommand>();
    CLI::App& command =
        *program.add_subcommand("load", "Put a server under load, compare every byte, and measure");
    command.footer(explanation);
    add_option(command, "URL", options->target,
               "The server: tcp://HOST:PORT, HOST:PORT, [v6]:PORT, unix:PATH or http://HOST:PORT/PATH")
        ->required()
        ->check(target_check());
    group(command, "The load", [&] { add_shape(command, *options); });
    group(command, "Open loop", [&] { add_open_loop(command, *options); });
    group(command, "Time", [&] { add_time(command, *options); });
    group(command, "Judgement", [&] { add_judgement(command, *options); });
    group(command, "Generator and figures", [&] { add_generator(command, *options); });
    command.callback([options] {
        for (const std::string& text : options->slo_texts) options->slos.push_back(*Slo::parse(text));
        load(*options);
    });
}

}  // namespace confab::cli
