#include "server/handler_work.hpp"

#include <cerrno>
#include <charconv>
#include <ctime>
#include <optional>
#include <utility>

namespace confab {

namespace {

constexpr const char* allowed =
    "work is like compute:200us, sleep:2ms, mixed:20us/20ms or none (units: ns, us, ms, s; a minute at most)";
constexpr Duration longest = std::chrono::minutes(1);

// Takes "200us" off the front; nothing when there is no such thing.
std::optional<Duration> take_duration(std::string_view& text) {
    struct Unit {
        std::string_view name;
        double nanoseconds;
    };
    constexpr Unit units[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}};
    double number = 0;
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || !(number > 0)) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(rest - text.data()));
    for (const Unit& unit : units) {
        if (!text.starts_with(unit.name)) continue;
        text.remove_prefix(unit.name.size());
        const double nanoseconds = number * unit.nanoseconds;
        if (nanoseconds > static_cast<double>(longest.count())) return std::nullopt;
        return Duration(static_cast<Duration::rep>(nanoseconds));
    }
    return std::nullopt;
}

Duration thread_time() {
    timespec time{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);  // never fails for the calling thread
    return std::chrono::seconds(time.tv_sec) + Duration(time.tv_nsec);
}

// By the thread's own clock: a computation takes its processor time however often it is interrupted.
void compute(Duration time) {
    const Duration end = thread_time() + time;
    while (thread_time() < end) {
    }
}

void sleep_plainly(Duration time) {
    const auto whole = std::chrono::floor<std::chrono::seconds>(time);
    timespec left{.tv_sec = whole.count(), .tv_nsec = (time - whole).count()};
    while (::nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

}  // namespace

std::expected<HandlerWork, std::string> HandlerWork::parse(std::string_view text) {
    HandlerWork work;
    if (text == "none") return work;
    const std::size_t colon = text.find(':');
    if (colon == std::string_view::npos) return std::unexpected(allowed);
    const std::string_view kind = text.substr(0, colon);
    std::string_view rest = text.substr(colon + 1);
    const std::optional<Duration> first = take_duration(rest);
    if (!first) return std::unexpected(allowed);
    if (kind == "mixed") {
        if (!rest.starts_with('/')) return std::unexpected(allowed);
        rest.remove_prefix(1);
        const std::optional<Duration> rare = take_duration(rest);
        if (!rare) return std::unexpected(allowed);
        work = {.compute = *first, .rare_compute = *rare};
    } else if (kind == "compute") {
        work.compute = *first;
    } else if (kind == "sleep") {
        work.sleep = *first;
    } else {
        return std::unexpected(allowed);
    }
    if (!rest.empty()) return std::unexpected(allowed);
    return work;
}

// FNV-1a, which spreads even bytes that are much alike.
bool HandlerWork::is_rare(Bytes bytes) {
    std::uint64_t hash = 0xcbf29ce484222325U;
    for (const std::byte byte : bytes) hash = (hash ^ static_cast<std::uint64_t>(byte)) * 0x100000001b3U;
    return (hash >> 32U) % 100 == 0;
}

Transform with_work(HandlerWork work, Transform transform) {
    if (work.is_none()) return transform;
    return [work, transform = std::move(transform)](LentBytes bytes) {
        const bool rare = work.rare_compute > Duration::zero() && HandlerWork::is_rare(bytes);
        compute(rare ? work.rare_compute : work.compute);
        if (work.sleep > Duration::zero()) sleep_plainly(work.sleep);
        transform(bytes);
    };
}

}  // namespace confab
