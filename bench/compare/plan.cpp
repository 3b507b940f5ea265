#include "bench/compare/plan.hpp"

#include <algorithm>
#include <charconv>
#include <random>
#include <set>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <tuple>

#include "server/strategy.hpp"

namespace confab::compare {

namespace {

// Starting and ending a server, connecting, and waiting for what is under way.
constexpr double overhead_s = 0.2;

// The flag that says how many of what a strategy is of; null: it has no size.
const char* size_flag(const std::string& strategy) {
    if (strategy == "prefork" || strategy == "processpool" || strategy == "hybrid") return "--processes";
    if (strategy == "threadpool" || strategy == "percore") return "--threads";
    return nullptr;
}

std::vector<std::string> split(const std::string& text, char at) {
    std::vector<std::string> parts;
    std::istringstream stream(text);
    for (std::string part; std::getline(stream, part, at);) parts.push_back(part);
    return parts;
}

// The flags for `serve`. Throws std::runtime_error, a sentence.
std::vector<std::string> flags_of(const std::string& name) {
    std::vector<std::string> flags;
    StrategyRequest request;
    if (const auto triple = split(name, 'x'); triple.size() == 3) {
        request.processes = triple[0];
        request.threads = triple[1];
        request.waiting = triple[2];
        flags = {"--processes", triple[0], "--threads", triple[1], "--waiting", triple[2]};
    } else {
        const std::size_t colon = name.find(':');
        request.name = name.substr(0, colon);
        flags = {"--strategy", request.name};
        if (colon != std::string::npos) {
            const char* const flag = size_flag(request.name);
            if (flag == nullptr) {
                throw std::runtime_error(
                    name + ": only prefork, processpool, hybrid, threadpool and percore have a size");
            }
            const std::string size = name.substr(colon + 1);
            (std::string_view(flag) == "--threads" ? request.threads : request.processes) = size;
            flags.insert(flags.end(), {flag, size});
        }
    }
    if (const auto strategy = make_strategy(request, std::max(1U, std::thread::hardware_concurrency()));
        !strategy)
        throw std::runtime_error(name + ": " + strategy.error());
    return flags;
}

}  // namespace

bool Contender::can(const Level& level) const { return level.app != "chat" || flags.back() != "callback"; }

std::string twin_of(const std::string& reference) { return reference + " again"; }

std::vector<std::string> parse_strategies(const std::string& list) {
    std::vector<std::string> names;
    const auto add = [&names](const std::string& name) {
        flags_of(name);
        if (std::ranges::find(names, name) == names.end()) names.push_back(name);
    };
    for (const std::string& name : split(list, ',')) {
        if (name != "all") {
            add(name);
            continue;
        }
        for (const NamedStrategy& strategy : named_strategies()) add(std::string(strategy.name));
    }
    if (names.empty()) throw std::runtime_error("name strategies, or all");
    return names;
}

std::vector<Contender> contenders(const Settings& settings) {
    std::vector<Contender> all;
    for (const std::string& name : settings.strategies) {
        all.push_back({.name = name, .flags = flags_of(name)});
        if (name == settings.reference) all.push_back({.name = twin_of(name), .flags = flags_of(name)});
    }
    return all;
}

std::vector<Place> places(const Settings& settings) {
    std::vector<Place> all;
    for (const std::string& id : settings.workloads) {
        const Workload& chosen = workload(id);
        for (const Level& level : chosen.levels) {
            const bool is_wanted =
                settings.literature ? level.quick || level.crowd : level.quick || !settings.quick;
            if (is_wanted) all.push_back({.workload = &chosen, .level = &level});
        }
    }
    return all;
}

std::vector<Planned> plan(const Settings& settings) {
    std::mt19937_64 random(settings.seed);
    const std::vector<Contender> all = contenders(settings);
    std::vector<Planned> cells;
    for (unsigned block = 0; block < settings.blocks; ++block) {
        for (const Place& place : places(settings)) {
            std::vector<Contender> order = all;
            std::ranges::shuffle(order, random);
            for (Contender& contender : order) {
                if (contender.can(*place.level))
                    cells.push_back({.block = block, .place = place, .contender = std::move(contender)});
            }
        }
    }
    return cells;
}

std::vector<Planned> without(std::vector<Planned> plan, const std::vector<Cell>& done) {
    using Key = std::tuple<unsigned, std::string, std::string, std::string>;
    std::set<Key> keys;
    for (const Cell& cell : done) keys.insert({cell.block, cell.workload, cell.level, cell.contender});
    std::erase_if(plan, [&keys](const Planned& cell) {
        return keys.contains(
            {cell.block, cell.place.workload->id, cell.place.level->name, cell.contender.name});
    });
    return plan;
}

double expected_seconds(const Settings& settings) { return settings.seconds + settings.warmup + overhead_s; }

}  // namespace confab::compare
