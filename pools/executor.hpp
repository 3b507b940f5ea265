// Public: what every pool can do, whatever its workers are.
#pragma once

#include <algorithm>
#include <atomic>
#include <concepts>
#include <cstddef>
#include <deque>
#include <exception>
#include <expected>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <vector>

#include "pools/channel_error.hpp"
#include "pools/clock.hpp"
#include "pools/future.hpp"
#include "pools/threads/channel.hpp"

namespace confab {

struct shutdown_options {
    bool wait = true;             // for the work, and for the workers to end
    bool cancel_pending = false;  // what has not begun never will
};

/// Has workers, which work on what is submitted.
///
/// `submit(function, arguments...)` copies or moves the function and its arguments, and gives a future of
/// what the function returns (a copy, if that is a reference); the function is called once, with its
/// arguments as rvalues. Throws std::logic_error when the pool is closed, and broken_pool when it is broken.
///
/// `close()`: no more is submitted; what was, is worked on. `terminate()`: what has not begun is canceled,
/// what is running is asked to stop; as prompt as the running tasks are. Both may be called twice, in any
/// order, by any thread. `join()` waits until all is done and the workers have ended; std::logic_error unless
/// closed before. `shutdown()` is close, and what its options say.
template <class Pool>
concept executor = requires(Pool& pool, int (*function)(int)) {
    { pool.submit(function, 1) } -> std::same_as<future<int>>;
    pool.close();
    pool.terminate();
    pool.join();
    pool.shutdown(shutdown_options{});
    { std::as_const(pool).size() } -> std::same_as<std::size_t>;  // workers at most
};

/// A pool is broken, and does nothing any more, when a worker could not be made ready: its initializer threw.
/// What that was is nested in it (std::rethrow_if_nested).
class broken_pool : public std::runtime_error, public std::nested_exception {
  public:
    broken_pool() : std::runtime_error("the pool is broken: its initializer threw") {}
};

/// What to call with a task's value, or with what it threw: once, by the worker (of a thread pool) or the
/// thread that hears of it, before anything that is added to the future later. What they throw themselves is
/// reported to on_unheard_exception. A canceled task calls neither.
///
///     pool.apply_async(callbacks{.value = parse, .error = complain}, fetch, url);
template <class OnValue = std::nullptr_t, class OnError = std::nullptr_t>
struct callbacks {
    OnValue value = nullptr;  // (const T&), or () of void
    OnError error = nullptr;  // (const std::exception_ptr&)
};

/// So many elements a chunk that each of `workers` gets about four: few enough to keep them busy to the end,
/// and many enough not to be all hand-over.
constexpr std::size_t default_chunk(std::size_t elements, std::size_t workers) {
    return std::max<std::size_t>(1, (elements + 4 * workers - 1) / (4 * workers));
}

template <class Pool, class Function, class Range>
class mapping;
template <class Pool, class Function, class Range>
class unordered_mapping;

namespace executor_detail {

template <class Function, class Argument>
using Result = std::remove_cvref_t<std::invoke_result_t<Function&, Argument>>;

/// What a chunk comes to.
template <class T>
using Results =
    std::conditional_t<std::is_void_v<T>, void, std::vector<std::conditional_t<std::is_void_v<T>, int, T>>>;

/// Works on a chunk: a function like any other, so that it can be named to another process.
template <class Function, class Argument>
// NOLINTNEXTLINE(performance-unnecessary-value-param): what is carried to another process is its own
Results<Result<Function, Argument>> run_chunk(Function function, std::vector<Argument> arguments) {
    if constexpr (std::is_void_v<Result<Function, Argument>>) {
        for (Argument& argument : arguments) std::invoke(function, std::move(argument));
    } else {
        Results<Result<Function, Argument>> results;
        results.reserve(arguments.size());
        for (Argument& argument : arguments) results.push_back(std::invoke(function, std::move(argument)));
        return results;
    }
}

/// The same for tuples of arguments.
template <class Function, class Tuple>
struct Applied {
    Function function;
    decltype(auto) operator()(Tuple arguments) { return std::apply(function, std::move(arguments)); }
};

/// The whole of the parts, which are over; throws what the first failed one threw.
template <class T>
Results<T> join_parts(std::vector<future<Results<T>>>&& parts) {
    if constexpr (std::is_void_v<T>) {
        for (const auto& part : parts) part.result();
    } else {
        std::vector<T> whole;
        for (auto& part : parts) std::ranges::move(std::move(part).take(), std::back_inserter(whole));
        return whole;
    }
}

/// The parts of a map_async: the last of them to be over brings the whole.
template <class T>
class Gathering {
  public:
    future<Results<T>> get_future() const { return whole_.get_future(); }
    void add(future<Results<T>> part) { parts_.push_back(std::move(part)); }

    /// After the last `add`.
    static void finish(const std::shared_ptr<Gathering>& self) {
        const auto one_less = [self] {
            if (self->left_.fetch_sub(1) == 1) self->bring_whole();
        };
        self->left_ = self->parts_.size() + 1;
        // By index: the last one to be over empties the list.
        const std::vector<future<Results<T>>> parts = self->parts_;
        for (const auto& part : parts) part.on_done([one_less](const auto&) { one_less(); });
        one_less();
    }

  private:
    void bring_whole() {
        try {
            if constexpr (std::is_void_v<T>) {
                join_parts<T>(std::move(parts_));
                whole_.set_value();
            } else {
                whole_.set_value(join_parts<T>(std::move(parts_)));
            }
        } catch (...) {
            whole_.set_exception(std::current_exception());
        }
    }

    std::vector<future<Results<T>>> parts_;
    std::atomic<std::size_t> left_ = 0;
    promise<Results<T>> whole_;
};

/// How far a range has been read.
template <class Range>
class Input {
  public:
    /// Reads `count` elements more, or those there are. What the range throws ends it.
    template <class Take>
    void read_ahead(std::size_t count, Range& range, Take take) {
        if (is_over_) return;
        is_over_ = true;  // unless nothing is thrown
        if (!position_) position_.emplace(std::ranges::begin(range));
        for (; count > 0 && *position_ != std::ranges::end(range); --count) {
            take(**position_);
            ++*position_;
        }
        is_over_ = *position_ == std::ranges::end(range);
    }

  private:
    std::optional<std::ranges::iterator_t<Range>> position_;
    bool is_over_ = false;
};

/// The value of what is over.
template <class T>
std::expected<T, channel_error> taken(future<T> over) {
    if constexpr (std::is_void_v<T>) {
        over.result();
        return {};
    } else {
        return std::move(over).take();
    }
}

/// In a pool's worker: works itself on what nobody may come to while it waits.
template <class T>
void work_on_pending(const std::vector<future<T>>& futures) {
    FutureState::Guide* const guide = FutureState::Guide::of_this_thread;
    if (guide == nullptr) return;
    for (const future<T>& each : futures) {
        if (guide->work_on(*each.state())) return;
    }
}

}  // namespace executor_detail

/// The calls that come down to submitting: a pool derives from it (as executor_calls<Pool>) and has
/// `submit_prepared(prepare, function, arguments...)`, which calls `prepare(const future<T>&)` before the
/// task can begin. The names are those of Python's pools.
template <class Pool>
class executor_calls {
  public:
    template <class Function, class... Arguments>
    auto submit(Function&& function, Arguments&&... arguments) {
        return self().submit_prepared([](const auto&) {}, std::forward<Function>(function),
                                      std::forward<Arguments>(arguments)...);
    }

    /// Submits, waits and gives the result, or throws what the task threw.
    template <class Function, class... Arguments>
    auto apply(Function&& function, Arguments&&... arguments) {
        return submit(std::forward<Function>(function), std::forward<Arguments>(arguments)...).take();
    }

    /// The same as submit, under Python's other name for it.
    template <class Function, class... Arguments>
    auto apply_async(Function&& function, Arguments&&... arguments) {
        return submit(std::forward<Function>(function), std::forward<Arguments>(arguments)...);
    }
    /// The same, with somebody to call.
    template <class OnValue, class OnError, class Function, class... Arguments>
    auto apply_async(callbacks<OnValue, OnError> calls, Function&& function, Arguments&&... arguments) {
        return self().submit_prepared([&](const auto& result) { attach(result, std::move(calls)); },
                                      std::forward<Function>(function),
                                      std::forward<Arguments>(arguments)...);
    }

    /// The function's results for each element, in their order. Elements go to the workers in chunks of
    /// `chunk` (0: default_chunk, or 1 if the range does not know its size). Waits for all of them; then
    /// throws what the first of the chunks that failed threw. A chunk ends at its first exception; the others
    /// do not. What the range itself throws comes at once, and the chunks submitted until then are worked on.
    template <class Function, std::ranges::input_range Range>
    auto map(Function function, Range&& elements, std::size_t chunk = 0) {
        using T = executor_detail::Result<Function, std::ranges::range_value_t<Range>>;
        std::vector<future<executor_detail::Results<T>>> parts;
        submit_chunks(function, elements, chunk, [&](auto&&... task) {
            parts.push_back(submit(std::forward<decltype(task)>(task)...));
        });
        for (const auto& part : parts) part.wait();
        return executor_detail::join_parts<T>(std::move(parts));
    }

    /// As `map`, for elements that are tuples of arguments.
    template <class Function, std::ranges::input_range Range>
    auto starmap(Function function, Range&& elements, std::size_t chunk = 0) {
        using Tuple = std::ranges::range_value_t<Range>;
        return map(executor_detail::Applied<Function, Tuple>{std::move(function)},
                   std::forward<Range>(elements), chunk);
    }

    /// As `map`, but does not wait: the future has all results, or what the first failed chunk threw, when
    /// every chunk is over. The range is read before it returns.
    template <class Function, std::ranges::input_range Range>
    auto map_async(Function function, Range&& elements, std::size_t chunk = 0) {
        return map_async(callbacks{}, std::move(function), std::forward<Range>(elements), chunk);
    }
    template <class OnValue, class OnError, class Function, std::ranges::input_range Range>
    auto map_async(callbacks<OnValue, OnError> calls, Function function, Range&& elements,
                   std::size_t chunk = 0) {
        using T = executor_detail::Result<Function, std::ranges::range_value_t<Range>>;
        auto whole = std::make_shared<executor_detail::Gathering<T>>();
        auto result = whole->get_future();
        attach(result, std::move(calls));
        submit_chunks(function, elements, chunk,
                      [&](auto&&... task) { whole->add(submit(std::forward<decltype(task)>(task)...)); });
        executor_detail::Gathering<T>::finish(whole);
        return result;
    }

    /// The function's results one by one, in the order of the elements, while the pool works ahead: at most
    /// `ahead` elements (0: twice the workers) are read before their turn, so that an endless range is fine.
    /// The range is read by whoever calls `next`.
    template <class Function, std::ranges::input_range Range>
    auto imap(Function function, Range&& elements, std::size_t ahead = 0) {
        return mapping<Pool, Function, std::views::all_t<Range>>(
            self(), std::move(function), std::views::all(std::forward<Range>(elements)),
            ahead_or_default(ahead));
    }
    /// The same, in the order in which they are done.
    template <class Function, std::ranges::input_range Range>
    auto imap_unordered(Function function, Range&& elements, std::size_t ahead = 0) {
        return unordered_mapping<Pool, Function, std::views::all_t<Range>>(
            self(), std::move(function), std::views::all(std::forward<Range>(elements)),
            ahead_or_default(ahead));
    }

  private:
    friend Pool;
    executor_calls() = default;
    ~executor_calls() = default;

    Pool& self() { return static_cast<Pool&>(*this); }

    std::size_t ahead_or_default(std::size_t ahead) { return ahead > 0 ? ahead : 2 * self().size(); }

    template <class T, class OnValue, class OnError>
    static void attach(const future<T>& result, callbacks<OnValue, OnError> calls) {
        if constexpr (!std::same_as<OnValue, std::nullptr_t>) {
            result.on_done([on_value = std::move(calls.value)](const future<T>& it) mutable {
                if (!it.successful()) return;
                if constexpr (std::is_void_v<T>) {
                    std::invoke(on_value);
                } else {
                    std::invoke(on_value, it.result());
                }
            });
        }
        if constexpr (!std::same_as<OnError, std::nullptr_t>) {
            result.on_done([on_error = std::move(calls.error)](const future<T>& it) mutable {
                if (it.status() == future_status::canceled || it.successful()) return;
                std::invoke(on_error, it.exception());
            });
        }
    }

    template <class Function, class Range, class Submit>
    void submit_chunks(const Function& function, Range& elements, std::size_t size, Submit submit_one) {
        using Argument = std::ranges::range_value_t<Range>;
        if (size == 0) {
            size = 1;
            if constexpr (std::ranges::sized_range<Range>)
                size = default_chunk(std::ranges::size(elements), self().size());
        }
        std::vector<Argument> chunk;
        for (auto&& element : elements) {
            chunk.push_back(std::forward<decltype(element)>(element));
            if (chunk.size() < size) continue;
            submit_one(&executor_detail::run_chunk<Function, Argument>, function, std::exchange(chunk, {}));
        }
        if (!chunk.empty())
            submit_one(&executor_detail::run_chunk<Function, Argument>, function, std::move(chunk));
    }
};

/// What `imap` gives. One thread. What is left in it when it dies is canceled, if it has not begun.
template <class Pool, class Function, class Range>
class mapping {
  public:
    using value_type = executor_detail::Result<Function, std::ranges::range_value_t<Range>>;
    using Next = std::expected<value_type, channel_error>;

    mapping(Pool& pool, Function function, Range elements, std::size_t ahead)
        : pool_(&pool), function_(std::move(function)), elements_(std::move(elements)), ahead_(ahead) {}
    mapping(const mapping&) = delete;
    mapping& operator=(const mapping&) = delete;
    ~mapping() {
        for (const auto& each : at_work_) each.cancel();
    }

    /// Waits for the next result; or {closed}: that was the last. Throws what the task or the range threw;
    /// the next call goes on with the next element, or, after the range, with what was submitted before it
    /// threw.
    [[nodiscard]] Next next() { return next_until(never); }
    /// The same, for `limit` at most; else {empty}, and it is not lost.
    [[nodiscard]] Next next_for(Duration limit) { return next_until(deadline_in(limit)); }
    [[nodiscard]] Next next_until(Instant deadline) {
        input_.read_ahead(ahead_ - at_work_.size(), elements_, [this](auto&& element) {
            at_work_.push_back(pool_->submit(function_, std::forward<decltype(element)>(element)));
        });
        if (at_work_.empty()) return std::unexpected(channel_error::closed);
        if (deadline == never) at_work_.front().wait();
        if (!at_work_.front().wait_until(deadline)) return std::unexpected(channel_error::empty);
        auto result = std::move(at_work_.front());
        at_work_.pop_front();
        return executor_detail::taken(std::move(result));
    }

  private:
    Pool* pool_;
    Function function_;
    Range elements_;
    const std::size_t ahead_;
    executor_detail::Input<Range> input_;
    std::deque<future<value_type>> at_work_;  // in the order of the elements
};

/// What `imap_unordered` gives; as `mapping`, but for the order.
template <class Pool, class Function, class Range>
class unordered_mapping {
  public:
    using value_type = executor_detail::Result<Function, std::ranges::range_value_t<Range>>;
    using Next = std::expected<value_type, channel_error>;

    unordered_mapping(Pool& pool, Function function, Range elements, std::size_t ahead)
        : pool_(&pool), function_(std::move(function)), elements_(std::move(elements)), ahead_(ahead) {}
    unordered_mapping(const unordered_mapping&) = delete;
    unordered_mapping& operator=(const unordered_mapping&) = delete;
    ~unordered_mapping() {
        for (const auto& each : at_work_) each.cancel();
    }

    [[nodiscard]] Next next() { return next_until(never); }
    [[nodiscard]] Next next_for(Duration limit) { return next_until(deadline_in(limit)); }
    [[nodiscard]] Next next_until(Instant deadline) {
        input_.read_ahead(ahead_ - at_work_.size(), elements_,
                          [this](auto&& element) { this->start(std::forward<decltype(element)>(element)); });
        if (at_work_.empty()) return std::unexpected(channel_error::closed);
        auto result = over_->try_get();
        if (!result) {
            if (deadline == never) executor_detail::work_on_pending(at_work_);
            result = over_->get_until(deadline);
        }
        if (!result) return std::unexpected(result.error());
        std::erase(at_work_, *result);
        return executor_detail::taken(std::move(*result));
    }

  private:
    using Over = threads::channel<future<value_type>>;

    template <class Element>
    void start(Element&& element) {
        const auto tell = [over = over_](const future<value_type>& it) {
            it.on_done([over](const future<value_type>& done) { static_cast<void>(over->put(done)); });
        };
        at_work_.push_back(pool_->submit_prepared(tell, function_, std::forward<Element>(element)));
    }

    Pool* pool_;
    Function function_;
    Range elements_;
    const std::size_t ahead_;
    executor_detail::Input<Range> input_;
    std::vector<future<value_type>> at_work_;
    std::shared_ptr<Over> over_ = std::make_shared<Over>(Over::unbounded);
};

}  // namespace confab
