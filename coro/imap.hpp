// Public: a function over many inputs, several at a time, without running away from whoever reads the
// results.
#pragma once

#include <cstddef>
#include <functional>
#include <iterator>
#include <optional>
#include <ranges>
#include <type_traits>
#include <utility>

#include "coro/completions.hpp"
#include "coro/task_group.hpp"
#include "pools/ring.hpp"

namespace confab {

/// The results of `function`, a coroutine, over `inputs`, in the order of the inputs. At most `ahead` inputs
/// (1 or more) are being worked on or worked off and not read; work begins when a result is asked for. It
/// runs in the places of `group` that are free, at least in one.
///
///     imap squares(group, square, std::views::iota(1, 100), 4);
///     while (true) {
///         const std::optional<int> result = co_await squares.next();
///         if (!result) break;
///
/// When it dies, what is still worked on is asked to stop; the group joins it. Dies before the group.
/// Reactor's thread only.
template <class Function, std::ranges::view Inputs>
class imap {
  public:
    using Task = std::invoke_result_t<Function&, std::ranges::range_reference_t<Inputs>>;
    using Result = typename Task::value_type;

    template <std::ranges::viewable_range Range>
    imap(task_group& group, Function function, Range&& inputs, std::size_t ahead)
        : group_(group),
          function_(std::move(function)),
          inputs_(std::views::all(std::forward<Range>(inputs))),
          next_input_(std::ranges::begin(inputs_)),
          ahead_(ahead) {}
    imap(const imap&) = delete;
    imap& operator=(const imap&) = delete;
    ~imap() {
        while (!pending_.empty()) pending_.pop().kill();
    }

    /// Waits for the next result; nothing when there are no more. Throws what that call of the function threw
    /// (and may then be asked for the one after it), and task_canceled.
    task<std::optional<Result>> next() {
        co_await work_ahead();
        if (pending_.empty()) co_return std::nullopt;
        const child<Result> oldest = pending_.front();
        co_await oldest.join();
        static_cast<void>(pending_.pop());
        co_return co_await oldest.get();
    }

  private:
    task<void> work_ahead() {
        while (pending_.size() < ahead_ && next_input_ != std::ranges::end(inputs_)) {
            if (group_.full() && !pending_.empty()) break;
            child<Result> work = co_await group_.spawn(function_(*next_input_), "imap");
            ++next_input_;
            pending_.push(std::move(work));
        }
    }

    task_group& group_;
    Function function_;
    Inputs inputs_;
    std::ranges::iterator_t<Inputs> next_input_;
    const std::size_t ahead_;
    Ring<child<Result>> pending_;  // oldest first
};

template <class Function, class Range>
imap(task_group&, Function, Range&&, std::size_t) -> imap<Function, std::views::all_t<Range>>;

}  // namespace confab
