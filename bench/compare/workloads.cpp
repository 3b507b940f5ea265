#include "bench/compare/workloads.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <initializer_list>
#include <set>
#include <sstream>
#include <stdexcept>
#include <utility>

namespace confab::compare {

namespace {

using load::LoadOptions;
using load::RateProfile;
using load::Spacing;
using Sizes = std::initializer_list<std::size_t>;

constexpr std::size_t small_message = 64;

// A young connection acknowledges every segment at once, and its server may still be starting threads.
constexpr std::uint64_t settling_answers = 16;

LoadOptions echo(std::size_t connections) {
    return {.connections = connections, .size = small_message, .settle = settling_answers};
}

LoadOptions poisson(LoadOptions load, double rate) {
    load.rate = RateProfile(rate);
    load.spacing = Spacing::poisson;
    load.settle = 0;
    return load;
}

Workload request_cost() {
    Workload workload{.id = "W1",
                      .title = "Echo of 64 bytes, as fast as it goes",
                      .x_title = "connections",
                      .separates = "system calls and switches a message: what a strategy itself costs",
                      .decided_by = "cpu_us",
                      .levels = {}};
    for (const std::size_t connections : Sizes{1, 16, 64, 256}) {
        workload.levels.push_back({.name = fmt::format("{} connections", connections),
                                   .x = static_cast<double>(connections),
                                   .quick = connections == 64,
                                   .load = echo(connections)});
    }
    return workload;
}

Workload offered_load() {
    Workload workload{
        .id = "W2",
        .title = "Echo at a given rate",
        .x_title = "offered load, % of the reference's capacity",
        .separates = "queueing: how long people wait as the server fills up, and past its limit",
        .decided_by = "p99_ms",
        .levels = {}};
    for (const int percent : {10, 30, 50, 70, 90, 120}) {
        LoadOptions load = echo(64);
        load.settle = 0;
        load.spacing = Spacing::poisson;
        workload.levels.push_back({.name = fmt::format("{} % of capacity", percent),
                                   .x = static_cast<double>(percent),
                                   .quick = percent == 50,
                                   .load = load,
                                   .capacity_share = percent / 100.0});
    }
    return workload;
}

Workload idle_connections() {
    Workload workload{.id = "W3",
                      .title = "32 busy connections among idle ones",
                      .x_title = "idle connections",
                      .separates =
                          "waits that look at every connection (select, poll, busy) against those that "
                          "are told; memory of a connection that has a thread or a process",
                      .decided_by = "cpu_us",
                      .levels = {}};
    for (const std::size_t idle : Sizes{0, 1000, 5000}) {
        LoadOptions load = echo(32);
        load.idle = idle;
        workload.levels.push_back({.name = fmt::format("{} idle", idle),
                                   .x = static_cast<double>(idle),
                                   .quick = idle == 1000,
                                   .load = load});
    }
    return workload;
}

Workload computing_handler() {
    Workload workload{
        .id = "W4",
        .title = "A handler that computes",
        .x_title = "microseconds a request",
        .separates = "one core against all of them; one computation holds up everybody on a loop",
        .decided_by = "rate",
        .levels = {}};
    for (const int microseconds : {50, 500}) {
        workload.levels.push_back({.name = fmt::format("{} us", microseconds),
                                   .x = static_cast<double>(microseconds),
                                   .quick = microseconds == 500,
                                   .work = fmt::format("compute:{}us", microseconds),
                                   .load = {.connections = 16, .size = small_message, .settle = 4}});
    }
    return workload;
}

Workload blocking_handler() {
    Workload workload{
        .id = "W5",
        .title = "A handler that blocks",
        .x_title = "milliseconds a request",
        .separates = "a loop stands still while its handler sleeps; threads and processes go on",
        .decided_by = "rate",
        .levels = {}};
    for (const int milliseconds : {1, 5}) {
        workload.levels.push_back({.name = fmt::format("{} ms", milliseconds),
                                   .x = static_cast<double>(milliseconds),
                                   .quick = milliseconds == 1,
                                   .work = fmt::format("sleep:{}ms", milliseconds),
                                   .load = {.connections = 8, .size = small_message, .settle = 2}});
    }
    return workload;
}

Workload mixed_handler() {
    return {.id = "W6",
            .title = "One request in a hundred takes a thousand times as long",
            .x_title = {},
            .separates = "tails: who waits behind the long one",
            .decided_by = "p99_ms",
            .levels = {{.name = "20 us, 1 % 20 ms; 1000/s",
                        .quick = true,
                        .work = "mixed:20us/20ms",
                        .load = poisson({.connections = 32, .size = small_message}, 1000)}}};
}

// To make a connection costs the generator as much as it costs the server: two threads, or it would be the
// limit.
Workload churn() {
    return {.id = "W7",
            .title = "A connection for each message",
            .x_title = {},
            .separates = "the price of a connection: accept, and a fork or a thread for each",
            .decided_by = "cpu_us",
            .levels = {{.name = "32 at once",
                        .quick = true,
                        .load = {.connections = 32, .size = small_message, .churn = true, .threads = 2}},
                       {.name = "5000 at once",
                        .crowd = true,
                        .load = {.connections = 5000, .size = small_message, .churn = true, .threads = 2}},
                       {.name = "500/s",
                        .load = poisson({.connections = 64, .size = small_message, .churn = true}, 500)}}};
}

Workload large_messages() {
    return {.id = "W8",
            .title = "Messages of a mebibyte",
            .x_title = {},
            .separates = "copies, partial writes, and who else waits meanwhile",
            .decided_by = "cpu_us",
            .levels = {{.name = "8 connections",
                        .quick = true,
                        .load = {.connections = 8, .size = std::size_t{1} << 20U}}}};
}

Workload slow_readers() {
    Workload workload{.id = "W9",
                      .title = "Fast connections beside some that hardly read",
                      .x_title = "slow readers among 50",
                      .separates = "back-pressure: a full socket must hold up nobody else",
                      .decided_by = "cpu_us",
                      .levels = {}};
    for (const std::size_t slow : Sizes{1, 5}) {
        LoadOptions load = echo(50 - slow);
        load.slow_readers = slow;
        workload.levels.push_back({.name = fmt::format("{} of 50 slow", slow),
                                   .x = static_cast<double>(slow),
                                   .quick = slow == 5,
                                   .load = load});
    }
    return workload;
}

Workload chat_rooms() {
    const auto rooms = [](std::size_t members, std::size_t count, double rate) {
        LoadOptions load = poisson({.app = load::App::chat,
                                    .connections = members,
                                    .size = small_message,
                                    .pipeline = 8,
                                    .rooms = count},
                                   rate);
        return load;
    };
    return {
        .id = "W10",
        .title = "Chat: a line to everybody in the room",
        .x_title = {},
        .separates = "fan-out: one line is many deliveries, across threads and processes",
        .decided_by = "cpu_us",
        .levels = {{.name = "5 rooms, 100 members, 400 lines/s",
                    .quick = true,
                    .app = "chat",
                    .load = rooms(100, 5, 400)},
                   {.name = "1 room, 200 members, 100 lines/s", .app = "chat", .load = rooms(200, 1, 100)}}};
}

Workload spike() {
    LoadOptions load = echo(64);
    load.settle = 0;
    return {.id = "W11",
            .title = "A spike: half the capacity, twice, half again",
            .x_title = {},
            .separates = "goodput under overload, and how long it takes to recover",
            .decided_by = "goodput",
            .levels = {{.name = "0.5x, 2x, 0.5x", .quick = true, .load = load, .spike = true}}};
}

Workload dribblers() {
    Workload workload{.id = "W12",
                      .title = "16 busy connections beside some that send a byte a second",
                      .x_title = "connections that dribble",
                      .separates = "workers that are held by clients who hardly do anything",
                      .decided_by = "rate",
                      .levels = {}};
    for (const std::size_t dribblers : Sizes{4, 64}) {
        LoadOptions load = echo(16);
        load.dribblers = dribblers;
        workload.levels.push_back({.name = fmt::format("{} dribble", dribblers),
                                   .x = static_cast<double>(dribblers),
                                   .quick = dribblers == 64,
                                   .load = load});
    }
    return workload;
}

}  // namespace

std::span<const Workload> workloads() {
    static const std::vector<Workload> all{
        request_cost(),  offered_load(), idle_connections(), computing_handler(), blocking_handler(),
        mixed_handler(), churn(),        large_messages(),   slow_readers(),      chat_rooms(),
        spike(),         dribblers()};
    return all;
}

const Workload& workload(const std::string& id) {
    const auto found = std::ranges::find(workloads(), id, &Workload::id);
    if (found == workloads().end()) throw std::runtime_error("there is no workload " + id);
    return *found;
}

std::vector<std::string> parse_workloads(const std::string& list) {
    std::set<std::string> wanted;
    std::istringstream names(list);
    for (std::string name; std::getline(names, name, ',');) {
        if (name != "all" && std::ranges::find(workloads(), name, &Workload::id) == workloads().end())
            throw std::runtime_error(name + " is none of W1 to W12, or all");
        wanted.insert(name);
    }
    std::vector<std::string> chosen;
    for (const Workload& each : workloads()) {
        if (wanted.contains(each.id) || wanted.contains("all")) chosen.push_back(each.id);
    }
    if (chosen.empty()) throw std::runtime_error("name workloads, W1 to W12, or all");
    return chosen;
}

}  // namespace confab::compare
