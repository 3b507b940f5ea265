#include "coro/diagnostics.hpp"

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <utility>
#include <vector>

#include "coro/task_tree.hpp"
#include "pools/annotated_mutex.hpp"

namespace confab {

namespace {

struct Registry {
    Mutex mutex;
    std::condition_variable_any printed;
    std::vector<Observed*> reactors CONFAB_GUARDED_BY(mutex);
    std::uint64_t receives_of_the_gone CONFAB_GUARDED_BY(mutex) = 0;
};

Registry& registry() {
    static Registry the_registry;
    return the_registry;
}

void write_report(const Stall& stall) { std::fprintf(stderr, "confab: %s\n", stall.text().c_str()); }

}  // namespace

Observed::Observed(Reactor& reactor, std::string name)
    : Job([](Job& job) noexcept { static_cast<Observed&>(job).print_tree(); }),
      reactor_(reactor),
      name_(std::move(name)) {
    const MutexLock lock(registry().mutex);
    registry().reactors.push_back(this);
}

Observed::~Observed() {
    const MutexLock lock(registry().mutex);
    std::erase(registry().reactors, this);
    registry().printed.notify_all();
    registry().receives_of_the_gone += reactor_.pulse().receives.load(std::memory_order_relaxed);
}

// In one write, so that the trees of several reactors do not run into each other.
void Observed::print_tree() {
    const std::string text = name_ + " (" + reactor_.description() + ")\n" + task_tree();
    std::fwrite(text.data(), 1, text.size(), stderr);
    const MutexLock lock(registry().mutex);
    printing_ = false;
    registry().printed.notify_all();
}

void print_task_trees() {
    const MutexLock lock(registry().mutex);
    for (Observed* const observed : registry().reactors) {
        if (!std::exchange(observed->printing_, true)) observed->reactor_.post(*observed);
    }
}

void print_task_trees_within(std::chrono::milliseconds limit) {
    const auto end = std::chrono::steady_clock::now() + limit;
    print_task_trees();
    MutexLock lock(registry().mutex);
    while (std::ranges::any_of(registry().reactors, &Observed::printing_)) {
        if (registry().printed.wait_until(lock, end) == std::cv_status::timeout) return;
    }
}

std::string Stall::text() const {
    const std::string fact = reactor + " is held for " + std::to_string(held.count()) + " ms by ";
    if (task == nullptr) return fact + "work that is no task's";
    const std::string quoted = *task == '\0' ? "" : " '" + std::string(task) + "'";
    const char* const slash = std::strrchr(holder.file_name(), '/');
    const char* const file = slash != nullptr ? slash + 1 : holder.file_name();
    return fact + "the task" + quoted + " that went on after " + file + ':' + std::to_string(holder.line());
}

Watchdog::Watchdog(std::chrono::milliseconds limit, Report report)
    : limit_(limit),
      report_(report ? std::move(report) : Report(write_report)),
      thread_([this](const std::stop_token& stopped) { watch(stopped); }) {}

void Watchdog::watch(const std::stop_token& stopped) {
    std::mutex mutex;
    std::condition_variable_any woken;
    std::unique_lock lock(mutex);
    while (!stopped.stop_requested()) {
        woken.wait_for(lock, stopped, limit_ / 2, [] { return false; });
        look();
    }
}

// A loop is held when it has been in the same resume step, which is an odd beat, for a while.
std::optional<Stall> Observed::stall(std::chrono::steady_clock::time_point now) const {
    const Pulse& pulse = reactor_.pulse();
    const std::uint64_t beat = pulse.beats.load(std::memory_order_relaxed);
    if (beat % 2 == 0 || beat != beat_seen_) return std::nullopt;
    return Stall{.reactor = name_,
                 .held = std::chrono::duration_cast<std::chrono::milliseconds>(now - since_),
                 .task = pulse.task.load(std::memory_order_relaxed),
                 .holder = pulse.holder.load(std::memory_order_relaxed)};
}

std::optional<Stall> longest_stall() {
    const auto now = std::chrono::steady_clock::now();
    std::optional<Stall> longest;
    const MutexLock lock(registry().mutex);
    for (const Observed* const observed : registry().reactors) {
        std::optional<Stall> stall = observed->stall(now);
        if (stall && (!longest || stall->held > longest->held)) longest = std::move(stall);
    }
    return longest;
}

std::uint64_t receives_so_far() {
    const MutexLock lock(registry().mutex);
    std::uint64_t sum = registry().receives_of_the_gone;
    for (Observed* const observed : registry().reactors) {
        sum += observed->reactor_.pulse().receives.load(std::memory_order_relaxed);
    }
    return sum;
}

void Watchdog::look() {
    std::vector<Stall> stalls;
    const auto now = std::chrono::steady_clock::now();
    {
        const MutexLock lock(registry().mutex);
        for (Observed* const observed : registry().reactors) {
            const std::uint64_t beat = observed->reactor_.pulse().beats.load(std::memory_order_relaxed);
            if (beat != std::exchange(observed->beat_seen_, beat)) observed->since_ = now;
            std::optional<Stall> stall = observed->stall(now);
            if (!stall || stall->held < limit_ || observed->beat_reported_ == beat) continue;
            observed->beat_reported_ = beat;
            stalls.push_back(std::move(*stall));
        }
    }
    for (const Stall& stall : stalls) report_(stall);
}

}  // namespace confab
