#include "coro/join_all.hpp"

#include <algorithm>
#include <functional>

namespace confab {

namespace {

// In order of address, each once.
void make_distinct(std::vector<any_child>& children) {
    const auto address = [](const any_child& child) { return &child.base(); };
    std::ranges::sort(children, std::less<>(), address);
    const auto rest = std::ranges::unique(children);
    children.erase(rest.begin(), rest.end());
}

}  // namespace

task<std::size_t> join_all(std::vector<any_child> children, JoinOptions options) {
    make_distinct(children);
    completions<any_child> pending(children);
    const Reactor& reactor = TaskContext::current()->reactor();
    const Instant end = options.limit == no_limit ? never : after(reactor.now(), options.limit);
    const std::size_t wanted = std::min(options.count, children.size());
    std::size_t joined = 0;
    while (joined < wanted) {
        const Duration left = end == never ? no_limit : end - reactor.now();
        const std::optional<any_child> over = co_await pending.next_for(left);
        if (!over) break;
        ++joined;
        if (options.raise_error && over->failed()) std::rethrow_exception(over->exception());
    }
    co_return joined;
}

task<std::size_t> wait_any(std::vector<any_child> children) {
    completions<any_child> pending(children);
    const std::optional<any_child> first = co_await pending.next();
    co_return static_cast<std::size_t>(std::ranges::find(children, first) - children.begin());
}

task<bool> kill_all(std::vector<any_child> children, Duration limit) {
    make_distinct(children);
    for (const any_child& child : children) child.kill();
    const std::size_t count = children.size();
    const std::size_t joined = co_await join_all(std::move(children), {.limit = limit});
    co_return joined == count;
}

}  // namespace confab
