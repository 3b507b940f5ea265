#include "bench/compare/measure.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <exception>
#include <optional>
#include <thread>
#include <utility>

#include "bench/compare/server_process.hpp"
#include "bench/compare/statistics.hpp"
#include "clients/load/cpu_time.hpp"
#include "clients/load/report.hpp"
#include "clients/load/run.hpp"
#include "clients/load/slo.hpp"

namespace confab::compare {

namespace {

using load::Histogram;
using load::LoadOptions;
using load::LoadResult;
using load::RateProfile;

constexpr double spike_low = 0.5, spike_high = 2;
// Whom a server keeps waiting as long as it likes is not waited for much longer. (Connections that come and
// go get their turn sooner or later, so there the load's own limits stand.)
constexpr Duration grace = std::chrono::milliseconds(600);
constexpr Duration connect_limit = std::chrono::seconds(1);

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }
double milliseconds(Duration duration) { return std::chrono::duration<double, std::milli>(duration).count(); }
Duration duration(double seconds) {
    return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

std::vector<std::string> command(const std::string& program, const Planned& planned) {
    std::vector<std::string> arguments{
        program,    "serve",           "--app", planned.place.level->app, "--listen", "127.0.0.1:0",
        "--ledger", "--drain-timeout", "1",     "--worker-timeout",       "0"};
    if (planned.place.level->work != "none")
        arguments.insert(arguments.end(), {"--work", planned.place.level->work});
    arguments.insert(arguments.end(), planned.contender.flags.begin(), planned.contender.flags.end());
    return arguments;
}

LoadOptions load_of(const Settings& settings, const Planned& planned, pid_t server) {
    const Level& level = *planned.place.level;
    LoadOptions options = level.load;
    options.duration = duration(settings.seconds);
    options.warmup = duration(settings.warmup);
    if (!options.churn) {
        options.grace = grace;
        options.connect_limit = connect_limit;
    }
    options.server = server;
    options.seed = settings.seed + planned.block;  // the same for all who are compared
    if (level.capacity_share > 0) options.rate = RateProfile(level.capacity_share * settings.capacity);
    if (level.spike) {
        const double third = settings.seconds / 3, low = spike_low * settings.capacity,
                     high = spike_high * settings.capacity;
        options.rate = RateProfile({{.seconds = third, .from = low, .to = low},
                                    {.seconds = third, .from = high, .to = high},
                                    {.seconds = third, .from = low, .to = low}})
                           .after_warmup(settings.warmup);
    }
    return options;
}

/// Follows a load: what the server's memory is once all are connected, and how the load goes on.
class Watcher final : public load::Observer {
  public:
    explicit Watcher(const ServerProcess& server, bool keeps_memory)
        : server_(server), keeps_memory_(keeps_memory) {}

    void connected() override {
        if (keeps_memory_) memory = server_.memory();
    }
    void measured(const load::Block& block) override {
        Histogram latency;
        latency.add(block.latency);
        at_ += seconds(block.length);
        course.push_back({.seconds = at_,
                          .rate = static_cast<double>(block.messages) / std::max(seconds(block.length), 1e-9),
                          .p99_ms = latency.empty() ? unknown : milliseconds(latency.at(0.99))});
    }

    Memory memory;
    std::vector<Slice> course;

  private:
    const ServerProcess& server_;
    const bool keeps_memory_;
    double at_ = 0;
};

void set_load(Figures& figures, const LoadResult& result) {
    figures.rate = result.rate();
    if (!result.corrected.empty()) {
        figures.p50_ms = milliseconds(result.corrected.at(0.5));
        figures.p99_ms = milliseconds(result.corrected.at(0.99));
        figures.max_ms = milliseconds(result.corrected.most());
        const auto in_time = static_cast<double>(result.corrected.count()) *
                             (1 - result.corrected.share_above(duration(goodput_limit_ms / 1e3)));
        figures.goodput = in_time / std::max(seconds(result.measured), 1e-9);
    }
    figures.served = static_cast<double>(result.served);
    figures.starved = static_cast<double>(result.starved);
    figures.bystanders = static_cast<double>(result.bystanders);
    figures.never_sent = static_cast<double>(result.never_sent);
    figures.fairness = jain_index(result.answers);
    figures.hiccup_p99_ms = milliseconds(result.health.hiccups.at(0.99));
    const double measured = std::max(seconds(result.measured), 1e-9);
    figures.generator_cores = seconds(result.health.cpu) / measured;
    figures.stolen_percent =
        100 * seconds(result.health.stolen) / measured / std::max(1U, std::thread::hardware_concurrency());
}

// Processor time is that of the measured time - but of children that come and go with connections the kernel
// tells only once they have been waited for, so there it is that of the server's whole life, less its start.
// Switches and calls are those of the server's whole life, by all the requests it has had, so that those of
// threads and processes which are gone count, too.
void set_cost(Figures& figures, const LoadResult& result, const Usage& usage, std::optional<Duration> start) {
    if (result.messages > 0) {
        const Duration spent = start ? usage.user + usage.system - *start : result.server_cpu;
        const std::uint64_t by = start ? result.answered : result.messages;
        figures.cpu_us = seconds(spent) * 1e6 / static_cast<double>(by);
        const double all = seconds(usage.user + usage.system);
        const double in_kernel = all > 0 ? seconds(usage.system) / all : 0;
        figures.system_us = figures.cpu_us * in_kernel;
        figures.user_us = figures.cpu_us - figures.system_us;
    }
    const auto requests = static_cast<double>(result.answered + result.bystanders);
    if (requests <= 0) return;
    figures.switches = static_cast<double>(usage.switches) / requests;
    figures.preemptions = static_cast<double>(usage.preemptions) / requests;
    double calls = 0;
    for (const auto& [name, count] : usage.ledger) {
        if (name.starts_with("system_calls/")) calls += static_cast<double>(count);
    }
    if (usage.ledger.empty()) return;
    const auto count_of = [&usage](const char* name) {
        const auto found = usage.ledger.find(name);
        return found == usage.ledger.end() ? 0.0 : static_cast<double>(found->second);
    };
    figures.system_calls = calls / requests;
    figures.controls = count_of("system_calls/control") / requests;
    const double waits = count_of("system_calls/wait") + count_of("system_calls/enter");
    if (waits > 0) figures.events = count_of("events") / waits;
}

void set_memory(Figures& figures, const Memory& before, const Memory& after, std::size_t idle) {
    const auto each = [idle](std::uint64_t from, std::uint64_t to) {
        return (static_cast<double>(to) - static_cast<double>(from)) / 1024 / static_cast<double>(idle);
    };
    figures.memory_kib = each(before.proportional_bytes, after.proportional_bytes);
    figures.kernel_kib = each(before.kernel_bytes, after.kernel_bytes);
}

// After the spike, until p99 is no more than twice what it was before it; unknown when it does not come to
// that.
double recovery_of(const std::vector<Slice>& course, double third) {
    std::vector<double> before;
    for (const Slice& slice : course) {
        if (slice.seconds <= third && std::isfinite(slice.p99_ms)) before.push_back(slice.p99_ms);
    }
    const double calm = std::max(median(before), 1.0);
    for (const Slice& slice : course) {
        if (slice.seconds > 2 * third && slice.p99_ms <= 2 * calm) return slice.seconds - 2 * third;
    }
    return unknown;
}

void run(const std::string& program, const Settings& settings, const Planned& planned, Measured& measured) {
    ServerProcess server(command(program, planned));
    const bool churns = planned.place.level->load.churn;
    const std::optional<Duration> start =
        churns ? std::optional(load::cpu_time_of(server.pid())) : std::nullopt;
    const std::size_t idle = planned.place.level->load.idle;
    const Memory before = idle > 0 ? server.memory() : Memory{};
    const auto target = load::resolve_target(server.address());
    if (!target) throw std::runtime_error(target.error());
    const LoadOptions options = load_of(settings, planned, server.pid());
    Watcher watcher(server, idle > 0);
    const LoadResult result = load::run_load(options, *target, watcher);
    const double busiest = server.busiest_share();
    const Usage usage = server.end();

    Cell& cell = measured.cell;
    set_load(cell.figures, result);
    set_cost(cell.figures, result, usage, start);
    if (idle > 0 && result.bystanders == idle) set_memory(cell.figures, before, watcher.memory, idle);
    if (planned.place.level->spike) {
        cell.course = watcher.course;
        cell.figures.recovery_s = recovery_of(watcher.course, settings.seconds / 3);
    }
    cell.figures.busiest = busiest;
    cell.answers = result.answers;
    cell.limits = load::generator_limits(options, result);
    cell.failure = result.faults.all() > 0 ? load::fault_list(result) : usage.complaint;
    add(measured.spectra.corrected, result.corrected);
    if (result.open_loop) add(measured.spectra.uncorrected, result.uncorrected);
    measured.interrupted = result.interrupted;
}

}  // namespace

Measured measure(const std::string& program, const Settings& settings, const Planned& planned) {
    Measured measured{.cell = {.block = planned.block,
                               .workload = planned.place.workload->id,
                               .level = planned.place.level->name,
                               .contender = planned.contender.name,
                               .figures = {},
                               .failure = {},
                               .limits = {},
                               .course = {},
                               .answers = {}},
                      .spectra = {}};
    try {
        run(program, settings, planned, measured);
    } catch (const std::exception& failure) {
        measured.cell.failure = failure.what();
    }
    return measured;
}

}  // namespace confab::compare
