#include "bench/compare/literature.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "bench/compare/analysis.hpp"
#include "bench/compare/plan.hpp"
#include "bench/compare/text_report.hpp"

namespace confab::compare {

namespace {

constexpr double without_end = std::numeric_limits<double>::infinity();

// Pools as large as the number of clients that have a connection of their own, as the published ones were.
constexpr const char* thread_pool = "threadpool:64";
constexpr const char* process_pool = "prefork:64";
constexpr const char* shared_listener = "4x1xepoll";
constexpr const char* listener_each = "percore:4";

/// One statement of a claim: that a ratio lies between two values.
struct Statement {
    std::string what;
    Interval found;
    double low, high;
};

Reproduced judged(const Statement& statement) {
    const Interval& found = statement.found;
    if (found.samples < fewest_pairs) return Reproduced::unclear;
    if (found.value >= statement.low && found.value <= statement.high) return Reproduced::yes;
    const bool outside = found.high < statement.low || found.low > statement.high;
    return outside ? Reproduced::no : Reproduced::unclear;
}

std::string text_of(const Statement& statement) {
    const std::string claimed = statement.high == without_end ? fmt::format("at least {:.2g}", statement.low)
                                : statement.low == 0
                                    ? fmt::format("at most {:.2g}", statement.high)
                                    : fmt::format("{:.2g} to {:.2g}", statement.low, statement.high);
    const Interval& found = statement.found;
    if (found.samples == 0) return fmt::format("{}: nothing measured (claimed: {})", statement.what, claimed);
    return fmt::format("{}: {:.2f} ({:.2f} to {:.2f}; claimed: {})", statement.what, found.value, found.low,
                       found.high, claimed);
}

Finding finding(const char* id, const char* source, const char* claim,
                const std::vector<Statement>& statements) {
    Finding made{.id = id, .source = source, .claim = claim, .figures = {}};
    std::size_t yes = 0, no = 0;
    for (const Statement& statement : statements) {
        const Reproduced each = judged(statement);
        yes += each == Reproduced::yes ? 1 : 0;
        no += each == Reproduced::no ? 1 : 0;
        made.figures += (made.figures.empty() ? "" : "; ") + text_of(statement);
    }
    made.reproduced = yes == statements.size() ? Reproduced::yes
                      : yes > 0                ? Reproduced::in_part
                      : no > 0                 ? Reproduced::no
                                               : Reproduced::unclear;
    return made;
}

/// Ratios between figures of a record.
class Ratios {
  public:
    explicit Ratios(const Record& record) : record_(record), places_(places(record.settings)) {}

    /// Of `contender` to `other` at the first level of a workload that is measured.
    Interval of(const char* figure, const char* workload, const char* contender, const char* other) const {
        return ratio(figure, place(workload, 0), contender, place(workload, 0), other);
    }
    /// The work that a second of the server's processor time does: what the published throughputs, of servers
    /// with all of a machine, come to here, where the generator shares it.
    Interval work(const char* workload, const char* contender, const char* other) const {
        return of("cpu_us", workload, other, contender);
    }
    /// Of a contender at the last level of a workload to the same at the first.
    Interval over_levels(const char* figure, const char* workload, const char* contender) const {
        return ratio(figure, place(workload, 1), contender, place(workload, 0), contender);
    }

  private:
    const Place& place(const char* workload, std::size_t which) const {
        auto at = places_.begin();
        while (at->workload->id != workload || which-- > 0) ++at;
        return *at;
    }
    Interval ratio(const char* figure, const Place& mine, const char* contender, const Place& its,
                   const char* other) const {
        const Metric& of = metric(figure);
        return median_interval(
            ratios(figures_of(record_, mine, contender, of), figures_of(record_, its, other, of)),
            record_.settings.seed);
    }

    const Record& record_;
    const std::vector<Place> places_;
};

}  // namespace

const char* name(Reproduced reproduced) {
    switch (reproduced) {
        case Reproduced::yes:
            return "reproduced";
        case Reproduced::in_part:
            return "in part";
        case Reproduced::no:
            return "not reproduced";
        case Reproduced::unclear:
            break;
    }
    return "unclear";
}

Settings literature_settings(std::uint64_t seed) {
    return {.strategies = {"select", "poll", "epoll", "uring", "thread", "fork", "sequential", thread_pool,
                           process_pool, shared_listener, listener_each},
            .workloads = {"W1", "W3", "W5", "W7"},
            .reference = "epoll",
            .blocks = 5,
            .seconds = 0.3,
            .warmup = 0.1,
            .literature = true,
            .seed = seed};
}

std::vector<Finding> findings(const Record& record) {
    if (!record.settings.literature) return {};
    const Ratios ratio(record);
    return {
        finding("R1", "Gammo et al., OLS 2004",
                "Without idle connections select, poll and epoll are comparable.",
                {{"work of select / epoll", ratio.work("W1", "select", "epoll"), 0.85, 1.18},
                 {"work of poll / epoll", ratio.work("W1", "poll", "epoll"), 0.85, 1.18}}),
        finding("R2", "unixism.net 2019", "Among a thousand clients poll does about half of what epoll does.",
                {{"work of poll / epoll", ratio.work("W3", "poll", "epoll"), 0.3, 0.7}}),
        finding("R3", "unixism.net 2019",
                "With a connection a request, pools do about as much as epoll, a thread each about 0.7 of "
                "it, a fork each "
                "about 0.2, and one client at a time next to nothing.",
                {{"requests/s of the thread pool / epoll", ratio.of("rate", "W7", thread_pool, "epoll"), 0.75,
                  1.33},
                 {"process pool / epoll", ratio.of("rate", "W7", process_pool, "epoll"), 0.75, 1.33},
                 {"thread / epoll", ratio.of("rate", "W7", "thread", "epoll"), 0.5, 0.9},
                 {"fork / epoll", ratio.of("rate", "W7", "fork", "epoll"), 0.1, 0.35},
                 {"sequential / epoll", ratio.of("rate", "W7", "sequential", "epoll"), 0, 0.1}}),
        finding("R4", "Pariag et al., EuroSys 2007",
                "A tuned event loop does 10 to 25 % more than a thread a connection.",
                {{"work of epoll / thread", ratio.work("W1", "epoll", "thread"), 1.1, 1.25}}),
        finding("R5", "lalinsky/zio #510, 2026",
                "io_uring is within 10 % of an epoll loop that does without epoll_ctl.",
                {{"work of uring / epoll", ratio.work("W1", "uring", "epoll"), 0.9, 1.1}}),
        finding("R6", "Cloudflare 2017",
                "Processes that share a listener get uneven shares; with a listener each they are even, and "
                "the longest "
                "wait is worse.",
                {{"busiest thread's share, shared / each its own",
                  ratio.of("busiest", "W1", shared_listener, listener_each), 1.2, without_end},
                 {"longest wait, each its own / shared",
                  ratio.of("max_ms", "W1", listener_each, shared_listener), 1.2, without_end}}),
        finding("R7", "Flash, USENIX 1999; SEDA, SOSP 2001", "Where handlers block, pools beat a plain loop.",
                {{"requests/s of the thread pool / epoll", ratio.of("rate", "W5", thread_pool, "epoll"), 1.5,
                  without_end}}),
        finding("R8", "unixism.net 2019",
                "With far more clients than workers a pool collapses, and epoll does not.",
                {{"requests/s of the thread pool, 5000 clients / 32",
                  ratio.over_levels("rate", "W7", thread_pool), 0, 0.5},
                 {"requests/s of epoll, 5000 clients / 32", ratio.over_levels("rate", "W7", "epoll"), 0.7,
                  without_end}}),
    };
}

std::string text_of(const std::vector<Finding>& findings) {
    std::string text = "\nwhat others have found, on this machine\n";
    for (const Finding& each : findings) {
        text += fmt::format("\n{} {} ({}): {}\n   {}\n", each.id, each.claim, each.source,
                            name(each.reproduced), each.figures);
    }
    return text;
}

}  // namespace confab::compare
