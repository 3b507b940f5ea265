#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <thread>

#include "cli/commands.hpp"
#include "reactor/endpoint.hpp"
#include "reactor/uring_features.hpp"
#include "server/byte_apps.hpp"
#include "server/chat/chat_app.hpp"
#include "server/handler_work.hpp"
#include "server/identity.hpp"
#include "server/run_server.hpp"

namespace confab::cli {

namespace {

struct ServeOptions {
    std::string app = "chat";
    std::string work = "none";
    std::vector<std::string> listen{"127.0.0.1:8080"};
    std::string strategy_name;
    std::string processes;
    std::string threads;
    std::string waiting;
    std::string uring_features = "all";
    std::size_t connections = ServerLimits{}.connections;
    double first_byte_seconds = std::chrono::duration<double>(ServerLimits{}.first_byte).count();
    double idle_seconds = std::chrono::duration<double>(ServerLimits{}.idle).count();
    double send_seconds = std::chrono::duration<double>(ServerLimits{}.send).count();
    unsigned drain_seconds = 10;
    double restart_seconds = 30;
    double retire_seconds = std::chrono::duration<double>(RunOptions{}.retire_limit).count();
    double worker_seconds = std::chrono::duration<double>(RunOptions{}.worker_limit).count();
    double upgrade_seconds = std::chrono::duration<double>(RunOptions{}.upgrade_limit).count();
    std::uint64_t recycle_after = 0;
    std::uint64_t recycle_memory = 0;
    std::string cpu_affinity = "off";
    std::string user;
    std::string group;
    std::string pid_file;
    bool check_config = false;
    bool ledger = false;
    chat::Limits chat;
    chat::WebOptions web;
};

// 0 is "no limit", as in the help.
Duration limit_from(double seconds) {
    if (seconds == 0) return no_limit;
    return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

// Rounded up: a limit that is not 0 is one.
std::chrono::milliseconds milliseconds_from(double seconds) {
    return std::chrono::ceil<std::chrono::milliseconds>(std::chrono::duration<double>(seconds));
}

struct AppChoice {
    ApplicationMaker make;
    Transform transform = nullptr;
    std::function<void(std::uint32_t)> process_lost{};
};

AppChoice byte_app(const ServeOptions& options, Transform transform) {
    const Transform whole = with_work(*HandlerWork::parse(options.work), std::move(transform));
    return {.make = [whole](std::uint32_t) { return make_byte_app(whole); }, .transform = whole};
}

AppChoice chat_app(chat::Limits limits, const chat::WebOptions& web, std::size_t connections,
                   const Strategy& strategy) {
    limits.members = connections;
    if (const std::string fault = limits.fault(); !fault.empty()) throw CLI::ValidationError(fault);
    if (!strategy.processes.several()) {
        return {.make = [limits, web](std::uint32_t) { return chat::make_chat_app(limits, web); }};
    }
    const auto memory = std::make_shared<const chat::ChatMemory>(limits);
    return {
        .make = [memory, web](std::uint32_t process) { return chat::make_chat_app(memory, process, web); },
        .process_lost = [memory](std::uint32_t process) { memory->process_lost(process); }};
}

AppChoice make_app(const ServeOptions& options, const Strategy& strategy) {
    if (options.app == "echo") return byte_app(options, leave_as_is);
    if (options.app == "upper") return byte_app(options, to_upper);
    if (options.work != "none") throw CLI::ValidationError("--work has no use with --app chat");
    return chat_app(options.chat, options.web, options.connections, strategy);
}

Strategy strategy_from(const ServeOptions& options) {
    StrategyRequest request{.name = options.strategy_name};
    if (!options.processes.empty()) request.processes = options.processes;
    if (!options.threads.empty()) request.threads = options.threads;
    if (!options.waiting.empty()) request.waiting = options.waiting;
    auto strategy = make_strategy(request, std::max(1U, std::thread::hardware_concurrency()));
    if (!strategy) throw CLI::ValidationError(strategy.error());
    if (strategy->callbacks && options.app == "chat") {
        throw CLI::ValidationError("--strategy callback serves echo and upper only");
    }
    return *strategy;
}

// An option without effect would be a promise that is not kept.
void check_recycling(const ServeOptions& options, const Strategy& strategy) {
    const bool recycles = options.recycle_after != 0 || options.recycle_memory != 0;
    const char* const option = options.recycle_after != 0 ? "--recycle-after" : "--recycle-memory";
    if (!recycles || strategy.processes.several_that_stay()) return;
    const std::string why = strategy.processes.several()
                                ? ": a process ends with its only connection, long before"
                                : ": with one process there is none to take its place";
    throw CLI::ValidationError(option + (" has no use under strategy " + strategy.name) + why);
}

bool cpu_affinity_from(const ServeOptions& options, const Strategy& strategy) {
    if (options.cpu_affinity == "off") return false;
    const auto refuse = [&strategy](const char* why) {
        throw CLI::ValidationError("--cpu-affinity auto has no use under strategy " + strategy.name + ": " +
                                   why);
    };
    if (strategy.processes.kind == ProcessCount::Kind::each) {
        refuse("processes that come and go with their connections are the kernel's to place");
    } else if (!strategy.processes.several() && strategy.threads.count == ThreadCount::each) {
        refuse("the threads of all connections would share one processor");
    } else if (!strategy.processes.several() && strategy.threads.count == 1) {
        refuse("a single thread has nobody to share processors with");
    }
    return true;
}

std::optional<Identity> identity_from(const ServeOptions& options) {
    auto identity = find_identity(options.user, options.group);
    if (!identity) throw CLI::ValidationError(identity.error());
    return *std::move(identity);
}

void log_to_stderr() {
    auto logger = spdlog::stderr_logger_mt("confab");
    logger->set_pattern("confab: %l: %v");
    spdlog::set_default_logger(std::move(logger));
}

// Everything else has been checked by now.
void check_addresses(const std::vector<std::string>& addresses) {
    for (const std::string& address : addresses) {
        const auto endpoints = Endpoint::resolve(address);
        if (!endpoints) throw CLI::ValidationError("--listen " + address + ": " + endpoints.error());
    }
    std::fprintf(stderr, "confab: the configuration is good\n");
}

void serve(const ServeOptions& options) {
    log_to_stderr();
    const Strategy strategy = strategy_from(options);
    check_recycling(options, strategy);
    const bool cpu_affinity = cpu_affinity_from(options, strategy);
    const std::optional<Identity> identity = identity_from(options);
    const AppChoice app = make_app(options, strategy);
    if (options.check_config) return check_addresses(options.listen);
    raise_descriptor_limit();
    run_server({.server = {.listen = options.listen,
                           .strategy = strategy,
                           .limits = {.connections = options.connections,
                                      .first_byte = limit_from(options.first_byte_seconds),
                                      .idle = limit_from(options.idle_seconds),
                                      .send = limit_from(options.send_seconds)},
                           .uring_features = options.uring_features},
                .application_name = options.app,
                .callback_transform = app.transform,
                .drain_limit = std::chrono::seconds(options.drain_seconds),
                .longest_restart_pause = std::chrono::duration_cast<std::chrono::milliseconds>(
                    std::chrono::duration<double>(options.restart_seconds)),
                .retire_limit = milliseconds_from(options.retire_seconds),
                .upgrade_limit = milliseconds_from(options.upgrade_seconds),
                .worker_limit = milliseconds_from(options.worker_seconds),
                .recycle_after = options.recycle_after,
                .recycle_memory = options.recycle_memory,
                .process_lost = app.process_lost,
                .cpu_affinity = cpu_affinity,
                .identity = identity,
                .pid_file = options.pid_file,
                .print_ledger = options.ledger},
               app.make);
}

void add_chat_limits(CLI::App& command, chat::Limits& limits) {
    add_option(command, "--max-line", limits.line_length, "Chat: bytes in a line, without its end");
    add_option(command, "--max-nick", limits.name_length, "Chat: bytes in a nick or in a room's name");
    add_option(command, "--max-queued", limits.bytes_queued,
               "Chat: bytes that may wait for a member; one who reads too slowly for that is dropped");
    add_option(command, "--max-rooms", limits.rooms, "Chat: rooms in all");
    add_option(command, "--rooms-per-member", limits.rooms_per_member, "Chat: rooms a member may be in");
    add_option(command, "--announced-members", limits.announced_members,
               "Chat: in a larger room, coming and going is not announced");
    add_option(command, "--history-length", limits.history_length, "Chat: messages a room keeps");
    add_option(command, "--rate", limits.lines_per_second,
               "Chat: lines a second from a member in the long run; 0: any number");
    add_option(command, "--burst", limits.lines_at_once, "Chat: lines at once from a member, with --rate");
}

void add_upkeep(CLI::App& command, ServeOptions& options) {
    add_option(command, "--retire-timeout", options.retire_seconds,
               "Processes: seconds in which one that is replaced may serve on; then it drains")
        ->check(seconds_check());
    add_option(command, "--upgrade-timeout", options.upgrade_seconds,
               "Processes: seconds that a program which SIGUSR2 starts may need to be ready")
        ->check(seconds_check());
    add_option(command, "--worker-timeout", options.worker_seconds,
               "Processes: one that hangs for so many seconds is killed and replaced; 0: none is")
        ->check(seconds_check());
    add_option(command, "--recycle-after", options.recycle_after,
               "Processes: one is replaced when it has served so many connections; 0: none is");
    add_option(command, "--recycle-memory", options.recycle_memory,
               "Processes: one is replaced when it holds so many bytes of memory; 0: none is");
}

void add_running(CLI::App& command, ServeOptions& options) {
    add_option(command, "--cpu-affinity", options.cpu_affinity,
               "auto: each serving thread stays on one processor, in turn over those there are")
        ->check(CLI::IsMember({"auto", "off"}));
    add_option(command, "--user", options.user,
               "The user who serves, by name; only root can have another one do it");
    add_option(command, "--group", options.group,
               "The group of who serves, by name, instead of the user's own");
    add_option(command, "--pidfile", options.pid_file,
               "File that holds the process number while it runs; one that was left behind is replaced");
    command.add_flag("--check-config", options.check_config,
                     "Only say whether all options are good: exit code 0, or 2 and why not");
}

}  // namespace

void add_serve(CLI::App& program) {
    auto options = std::make_shared<ServeOptions>();
    CLI::App& command = *program.add_subcommand("serve", "Run a server");
    add_option(command, "--app", options->app, "What it serves")
        ->check(CLI::IsMember({"chat", "echo", "upper"}));
    add_option(
        command, "--work", options->work,
        "Echo, upper: what a handler does besides, on the thread that serves: compute:200us, sleep:2ms, "
        "mixed:20us/20ms (the second for one message in a hundred)")
        ->check(CLI::Validator(
            [](const std::string& text) {
                const auto work = HandlerWork::parse(text);
                return work ? std::string() : work.error();
            },
            "WORK"));
    add_option(command, "--listen", options->listen,
               "host:port, [v6]:port or unix:PATH; repeatable; port 0: any free one")
        ->delimiter(',')
        ->check(address_check());
    add_option(command, "--strategy", options->strategy_name, "One of `confab strategies`; default percore");
    add_option(command, "--processes", options->processes,
               "Processes that serve: a number, or `each`: one per connection");
    add_option(command, "--threads", options->threads,
               "Threads in each that serve: a number, or `each`: one per connection");
    add_option(command, "--waiting", options->waiting,
               "How they wait: blocking, busy, select, poll, epoll, uring");
    add_option(command, "--uring-features", options->uring_features,
               "io_uring features to use: all, none, or a list such as all,-incremental")
        ->check(CLI::Validator(
            [](const std::string& text) {
                const auto features = parse_uring_features(text);
                return features ? std::string() : features.error();
            },
            "FEATURES"));
    add_option(command, "--max-connections", options->connections,
               "Connections served at once; more wait in the queue")
        ->check(CLI::Range(std::size_t{1}, std::size_t{100'000'000}));
    add_option(command, "--first-byte-timeout", options->first_byte_seconds,
               "Seconds until the first byte of a connection; 0: no limit")
        ->check(seconds_check());
    add_option(command, "--idle-timeout", options->idle_seconds,
               "Seconds a connection may be silent; 0: no limit")
        ->check(seconds_check());
    add_option(command, "--send-timeout", options->send_seconds,
               "Seconds a peer may take nothing of what it is owed; 0: no limit")
        ->check(seconds_check());
    add_option(command, "--drain-timeout", options->drain_seconds,
               "Seconds after SIGTERM until what is left is cut off");
    add_option(command, "--max-restart-pause", options->restart_seconds,
               "Seconds between the restarts of a process that ends again and again, at most")
        ->check(seconds_check());
    add_upkeep(command, *options);
    add_running(command, *options);
    command.add_flag("--ledger", options->ledger,
                     "At the end, print what it all cost as a line of JSON on stderr");
    add_chat_limits(command, options->chat);
    command.add_flag("--compression", options->web.compression,
                     "Chat: WebSockets may be compressed (permessage-deflate), if the client offers it");
    add_option(command, "--origin", options->web.origins,
               "Chat: pages of this site may connect, too, as in https://example.org; repeatable");
    command.callback([options] { serve(*options); });
}

}  // namespace confab::cli
