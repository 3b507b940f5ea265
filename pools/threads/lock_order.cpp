#include "pools/threads/lock_order.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>
#include <system_error>
#include <unordered_set>
#include <utility>

#include "pools/annotated_mutex.hpp"
#include "pools/thread_number.hpp"

namespace confab::threads {
namespace detail {

struct thread_record;

struct lock_arrow {
    lock_node* to;  // was taken while the node was held
    std::uint32_t thread;
    std::source_location held_at;
    std::source_location taken_at;
};

struct lock_node {
    std::string name;
    thread_record* holder = nullptr;
    std::source_location held_at;
    std::vector<lock_arrow> arrows;
    std::vector<lock_node*> before;  // those that have an arrow to it
};

struct thread_record {
    std::uint32_t number = this_thread_number();
    std::vector<lock_node*> holds;  // in the order taken
    lock_node* wants = nullptr;
    std::source_location wants_at;
};

}  // namespace detail

namespace {

using detail::lock_arrow;
using detail::lock_node;
using detail::thread_record;
using Step = lock_problem::Step;

Mutex graph_mutex;  // guards all nodes and records, and the handler

// Never destroyed, since locks may be used, and threads end, while the program does.
lock_problem_handler& the_handler() CONFAB_REQUIRES(graph_mutex) {
    static auto& handler = *new lock_problem_handler;
    return handler;
}

// This thread's record, made when first needed; gone at the end of the thread, and then nothing is watched
// there.
thread_record* this_record() {
    thread_local bool gone = false;
    struct Owner {
        thread_record record;
        ~Owner() {
            gone = true;
            MutexLock lock{graph_mutex};
            for (lock_node* held : record.holds) held->holder = nullptr;
        }
    };
    if (gone) return nullptr;
    thread_local Owner owner;
    return &owner.record;
}

bool reads_as_on(const char* value) {
    return value != nullptr && *value != '\0' && std::strcmp(value, "0") != 0;
}

// While the program starts, before anything of it runs in another thread.
[[maybe_unused]] const bool from_environment = [] {
    if (reads_as_on(std::getenv("CONFAB_LOCK_ORDER"))) watch_lock_order(true);
    return true;
}();

lock_arrow* find_arrow(lock_node& from, const lock_node& to) CONFAB_REQUIRES(graph_mutex) {
    const auto found = std::ranges::find(from.arrows, &to, &lock_arrow::to);
    return found == from.arrows.end() ? nullptr : &*found;
}

// The arrows that lead from one node to another, as steps behind those there are; false when none do.
bool find_way(lock_node& from, const lock_node& to, std::unordered_set<const lock_node*>& seen,
              std::vector<Step>& way) CONFAB_REQUIRES(graph_mutex) {
    if (&from == &to) return true;
    if (!seen.insert(&from).second) return false;
    for (const lock_arrow& arrow : from.arrows) {
        way.push_back({arrow.thread, from.name, arrow.held_at, arrow.to->name, arrow.taken_at});
        if (find_way(*arrow.to, to, seen, way)) return true;
        way.pop_back();
    }
    return false;
}

// Who waits for whom, from the wish of `self` for `wanted` on; empty when the chain does not come back to it.
// Its own step is last.
std::vector<Step> find_circle(const thread_record& self, const lock_node& wanted,
                              const std::source_location& where) CONFAB_REQUIRES(graph_mutex) {
    std::vector<Step> steps;
    const lock_node* at = &wanted;
    while (at->holder != nullptr && at->holder != &self) {
        const thread_record& holder = *at->holder;
        // A chain that comes back elsewhere is the problem of those in it, and they have been told.
        if (holder.wants == nullptr || std::ranges::count(steps, holder.number, &Step::thread) > 0) return {};
        steps.push_back({holder.number, at->name, at->held_at, holder.wants->name, holder.wants_at});
        at = holder.wants;
    }
    if (at->holder == nullptr) return {};
    steps.push_back({self.number, at->name, at->held_at, wanted.name, where});
    return steps;
}

void tell(const lock_problem& problem) {
    lock_problem_handler handler;
    {
        MutexLock lock{graph_mutex};
        handler = the_handler();
    }
    if (handler) return handler(problem);
    const std::string text = problem.text();
    std::fwrite(text.data(), 1, text.size(), stderr);
}

std::string name_by_address(const void* lock) {
    std::array<char, 32> text;
    std::snprintf(text.data(), text.size(), "mutex %p", lock);
    return text.data();
}

lock_node& node_of(detail::watched_lock& lock) CONFAB_REQUIRES(graph_mutex) {
    lock_node* node = lock.node.load(std::memory_order_relaxed);
    if (node == nullptr) {
        node = new lock_node;
        node->name = lock.name != nullptr ? lock.name : name_by_address(&lock);
        lock.node.store(node, std::memory_order_relaxed);
    }
    return *node;
}

std::string line_of(const std::source_location& where) {
    return std::string(where.file_name()) + ":" + std::to_string(where.line());
}

}  // namespace

std::string lock_problem::text() const {
    const bool deadlock = kind == Kind::deadlock;
    std::string text = deadlock
                           ? "deadlock: each thread waits for the next\n"
                           : "lock order inversion: in this order, threads can come to wait for each other\n";
    for (const Step& step : steps) {
        text += "  thread " + std::to_string(step.thread) + (deadlock ? " holds \"" : " held \"") +
                step.held + "\" (" + line_of(step.held_at) + ") and " +
                (deadlock ? "waits for \"" : "took \"") + step.wanted + "\" (" + line_of(step.wanted_at) +
                ")\n";
    }
    return text;
}

void watch_lock_order(bool on) noexcept { detail::lock_order_watched.store(on, std::memory_order_relaxed); }

void on_lock_problem(lock_problem_handler handler) {
    MutexLock lock{graph_mutex};
    std::swap(the_handler(), handler);
}

namespace detail {

void watched_lock::prepare() {
    thread_record* const self = this_record();
    if (self == nullptr) return;
    MutexLock lock{graph_mutex};
    node_of(*this);
    self->holds.reserve(self->holds.size() + 1);
}

void watched_lock::about_to_take(const std::source_location& where) {
    thread_record* const self = this_record();
    if (self == nullptr) return;
    std::vector<lock_problem> problems;
    {
        MutexLock lock{graph_mutex};
        lock_node& wanted = node_of(*this);
        for (lock_node* held : self->holds) {
            if (find_arrow(*held, wanted) != nullptr) continue;
            std::vector<Step> steps = {{self->number, held->name, held->held_at, wanted.name, where}};
            std::unordered_set<const lock_node*> seen;
            if (find_way(wanted, *held, seen, steps))
                problems.push_back({lock_problem::Kind::inversion, std::move(steps)});
            wanted.before.push_back(held);
            held->arrows.push_back({&wanted, self->number, held->held_at, where});
        }
    }
    for (const lock_problem& problem : problems) tell(problem);
}

void watched_lock::about_to_wait(const std::source_location& where) {
    thread_record* const self = this_record();
    if (self == nullptr) return;
    lock_problem problem{lock_problem::Kind::deadlock, {}};
    {
        MutexLock lock{graph_mutex};
        lock_node& wanted = node_of(*this);
        problem.steps = find_circle(*self, wanted, where);
        if (problem.steps.empty()) {
            self->wants = &wanted;
            self->wants_at = where;
            return;
        }
    }
    std::ranges::rotate(problem.steps, problem.steps.end() - 1);
    tell(problem);
    throw std::system_error(std::make_error_code(std::errc::resource_deadlock_would_occur), problem.text());
}

void watched_lock::taken(const std::source_location& where) noexcept {
    thread_record* const self = this_record();
    if (self == nullptr) return;
    MutexLock lock{graph_mutex};
    lock_node& mine = node_of(*this);
    self->wants = nullptr;
    self->holds.push_back(&mine);
    mine.holder = self;
    mine.held_at = where;
}

void watched_lock::about_to_give_back() noexcept {
    MutexLock lock{graph_mutex};
    lock_node& mine = *node.load(std::memory_order_relaxed);
    if (mine.holder == nullptr) return;  // taken while nobody watched
    std::erase(mine.holder->holds, &mine);
    mine.holder = nullptr;
}

void watched_lock::forget() noexcept {
    MutexLock lock{graph_mutex};
    const std::unique_ptr<lock_node> gone(node.load(std::memory_order_relaxed));
    for (lock_node* from : gone->before)
        std::erase_if(from->arrows, [&](auto& arrow) { return arrow.to == gone.get(); });
    for (const lock_arrow& arrow : gone->arrows) std::erase(arrow.to->before, gone.get());
    // Only a lock that dies held, which is forbidden, has a holder; it shall not haunt him.
    if (gone->holder != nullptr) std::erase(gone->holder->holds, gone.get());
}

}  // namespace detail
}  // namespace confab::threads
