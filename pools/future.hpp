// Public: a result that comes later, and the promise to bring it.
//
//     confab::thread_pool pool;
//     const confab::future<int> answer = pool.submit([](int n) { return 6 * n; }, 7);
//     answer.on_done([](const confab::future<int>& it) { std::print("{}\n", it.result()); });
//     pool.submit(boil, water).cancel();
//     const confab::waited<int> some = confab::wait_first(answers, 2s);
//
// Time limits: zero or less only looks and is no error; the calls without one have none.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <exception>
#include <expected>
#include <functional>
#include <future>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <stop_token>
#include <type_traits>
#include <unordered_set>
#include <utility>
#include <vector>

#include "pools/channel_error.hpp"
#include "pools/clock.hpp"
#include "pools/future_state.hpp"
#include "pools/threads/channel.hpp"

namespace confab {

/// What a future's result throws when its work was canceled.
class future_canceled : public std::runtime_error {
  public:
    future_canceled() : std::runtime_error("the work was canceled before it began") {}
};

/// Is told of what callbacks throw: nobody else hears it. Must not throw.
using unheard_exception_handler = void (*)(const std::exception_ptr&) noexcept;

/// Sets that handler for the process and gives the one before. Null, and until it is set: a line on stderr.
/// Any thread.
unheard_exception_handler on_unheard_exception(unheard_exception_handler handler) noexcept;

/// A handle on a result. Copies are handles on the same one; handles of the same one may be used by several
/// threads at once, one handle by several only as a const one. It keeps the result alive, and not the work: a
/// pool works on whether or not anybody holds a handle.
///
/// A future that was default-constructed or moved from has nothing to ask for; all else Requires: valid().
template <class T>
class future {
  public:
    using value_type = T;

    future() = default;
    /// For those who make results: takes over one ownership of `state`.
    explicit future(FutureValue<T>* state) noexcept : state_(state) {}
    future(const future& other) noexcept : state_(other.state_) {
        if (state_ != nullptr) state_->retain();
    }
    future(future&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
    future& operator=(future other) noexcept {
        std::swap(state_, other.state_);
        return *this;
    }
    ~future() {
        if (state_ != nullptr) state_->release();
    }

    bool valid() const noexcept { return state_ != nullptr; }
    future_status status() const noexcept { return state_->status(); }
    /// Over, whether with a value, an exception, or canceled.
    bool done() const noexcept { return state_->is_over(); }

    /// Waits until it is over. In a pool's worker that waits for work of its own pool: if that has not begun,
    /// works on it right here; if that waits for this very worker, throws std::logic_error, since it would
    /// for ever. (A wait with a limit does neither.)
    void wait() const { state_->wait(never); }
    /// The same, for `limit` at most; false then. The work goes on.
    [[nodiscard]] bool wait_for(Duration limit) const { return state_->wait(deadline_in(limit)); }
    [[nodiscard]] bool wait_until(Instant deadline) const { return state_->wait(deadline); }

    /// Waits, as `wait` does, and gives the value, which lives as long as a handle does. Throws what the work
    /// threw, future_canceled, or what `wait` throws.
    decltype(auto) result() const& {
        state_->wait_for_value();
        if constexpr (!std::is_void_v<T>) return static_cast<const T&>(state_->value());
    }
    /// The same of a handle that is given up: a copy, or, when there is no other handle, the value itself.
    T result() && {
        state_->wait_for_value();
        if constexpr (!std::is_void_v<T>) {
            if (state_->has_one_owner()) return std::move(state_->value());
            return T(std::as_const(state_->value()));
        }
    }
    /// Waits, and moves the value out: for values that cannot be copied. Throws what `result` throws.
    /// Requires: no other handle and no callback ever asks for it.
    T take() && {
        state_->wait_for_value();
        if constexpr (!std::is_void_v<T>) return std::move(state_->value());
    }
    /// The value, for as long as a handle lives, or null when it was not there in time; of void, whether it
    /// is. Throws what `result` throws.
    auto result_for(Duration limit) const& { return result_until(deadline_in(limit)); }
    auto result_until(Instant deadline)
        const& -> std::conditional_t<std::is_void_v<T>, bool, const typename FutureValue<T>::Stored*> {
        if (!state_->wait(deadline)) return {};
        state_->wait_for_value();
        if constexpr (std::is_void_v<T>) {
            return true;
        } else {
            return &state_->value();
        }
    }
    void result_for(Duration) &&
        requires(!std::is_void_v<T>) = delete;  // the value would die with the handle

    /// Waits, as `wait` does, and gives what the work threw; null when there is a value. Throws
    /// future_canceled.
    std::exception_ptr exception() const { return state_->wait_for_exception(); }

    /// Whether there is a value. Throws std::logic_error when it is not over.
    bool successful() const {
        if (!done()) throw std::logic_error("whether it is successful is known when it is done; wait first");
        return status() == future_status::done && exception() == nullptr;
    }

    /// Work that has not begun never will; work that is running is asked to stop, if it takes a stop_token.
    cancellation cancel() const { return state_->cancel(); }

    /// Calls `callback(const future<T>&)` once when it is over: in the thread that ends it, after the
    /// callbacks that were added before; or, if it is over already, here and now. What a callback throws is
    /// reported to on_unheard_exception and has no other effect. Throws std::bad_alloc.
    template <std::invocable<const future&> Function>
    void on_done(Function callback) const {
        class Call final : public FutureState::Callback {
          public:
            explicit Call(Function&& function) : function_(std::move(function)) {}
            void call(FutureState& state) override {
                state.retain();
                std::invoke(function_, future(static_cast<FutureValue<T>*>(&state)));
            }

          private:
            Function function_;
        };
        state_->on_over(new Call(std::move(callback)));
    }

    /// On the same result.
    friend bool operator==(const future&, const future&) = default;

    /// For those who build on it: still this handle's.
    FutureState* state() const noexcept { return state_; }

  private:
    FutureValue<T>* state_ = nullptr;
};

/// The other end: brings the result, once. Move-only. If it dies without having done so, the future gets
/// std::future_error (broken_promise).
template <class T>
class promise {
  public:
    promise() : state_(new State) {}
    promise(promise&& other) noexcept
        : state_(std::exchange(other.state_, nullptr)), is_set_(other.is_set_) {}
    promise& operator=(promise&& other) noexcept {
        std::swap(state_, other.state_);
        std::swap(is_set_, other.is_set_);
        return *this;
    }
    ~promise() {
        if (state_ == nullptr) return;
        if (!is_set_ && state_->claim()) {
            state_->finish_with(std::make_exception_ptr(std::future_error(std::future_errc::broken_promise)));
        }
        state_->release();
    }

    /// As often as one likes.
    future<T> get_future() const {
        state_->retain();
        return future<T>(state_);
    }

    /// The work begins: from now on it can be asked to stop, but not be canceled any more. False: it was
    /// canceled before.
    [[nodiscard]] bool begin() { return state_->begin(); }
    /// Is told when somebody cancels after the begin.
    std::stop_token get_stop_token() const { return state_->stop.get_token(); }

    /// Sets the value, made from the arguments. False: it was canceled, and the value is dropped. Throws
    /// std::future_error (promise_already_satisfied) when there is a result, which stays; what making the
    /// value throws becomes the result.
    template <class... Arguments>
    bool set_value(Arguments&&... arguments) {
        if (!claim()) return false;
        try {
            state_->store(std::forward<Arguments>(arguments)...);
        } catch (...) {
            state_->finish_with(std::current_exception());
            return true;
        }
        state_->finish_with_value();
        return true;
    }
    /// The same, for what `result` will throw. Requires: not null.
    bool set_exception(std::exception_ptr exception) {
        if (!claim()) return false;
        state_->finish_with(std::move(exception));
        return true;
    }

  private:
    struct State final : FutureValue<T> {
        bool request_stop() noexcept override {
            stop.request_stop();
            return true;
        }
        std::stop_source stop;
    };

    bool claim() {
        const bool is_wanted = state_->claim();
        is_set_ = true;
        return is_wanted;
    }

    State* state_;
    bool is_set_ = false;
};

/// Futures one by one as they are over, whatever came of them; each result once, however many handles on it
/// were given. One thread.
///
///     for (const confab::future<int>& each : confab::as_completed(answers)) std::print("{}\n",
///     each.result());
template <class T>
class completed_futures {
  public:
    class iterator;

    explicit completed_futures(std::vector<future<T>> futures)
        : futures_(without_repetitions(std::move(futures))) {
        notices_.reserve(futures_.size());
        for (std::size_t index = 0; index < futures_.size(); ++index) {
            notices_.push_back(new Notice(over_, index));
            futures_[index].state()->on_over(notices_.back());
        }
    }
    completed_futures(const completed_futures&) = delete;
    completed_futures& operator=(const completed_futures&) = delete;
    ~completed_futures() {
        for (std::size_t index = 0; index < futures_.size(); ++index) {
            if (!has_given_[index] && futures_[index].state()->withdraw(notices_[index]))
                delete notices_[index];
        }
    }

    /// Waits for the next one that is over; or {closed}: all were given.
    [[nodiscard]] std::expected<future<T>, channel_error> next() { return next_until(never); }
    /// The same, for `limit` at most; else {empty}, and `unfinished` says how many are not over.
    [[nodiscard]] std::expected<future<T>, channel_error> next_for(Duration limit) {
        return next_until(deadline_in(limit));
    }
    [[nodiscard]] std::expected<future<T>, channel_error> next_until(Instant deadline);

    /// All of them, in the order they were given.
    const std::vector<future<T>>& futures() const { return futures_; }
    std::size_t size() const { return futures_.size(); }
    /// Those that are not over at this moment.
    std::size_t unfinished() const {
        return static_cast<std::size_t>(
            std::ranges::count_if(futures_, [](const future<T>& each) { return !each.done(); }));
    }

    iterator begin() { return iterator(*this); }
    std::default_sentinel_t end() const { return {}; }

  private:
    struct Over {
        threads::channel<std::size_t> indices{threads::channel<std::size_t>::unbounded};
    };

    class Notice final : public FutureState::Callback {
      public:
        Notice(std::shared_ptr<Over> over, std::size_t index) : over_(std::move(over)), index_(index) {}
        void call(FutureState&) override { static_cast<void>(over_->indices.put(index_)); }

      private:
        std::shared_ptr<Over> over_;
        std::size_t index_;
    };

    static std::vector<future<T>> without_repetitions(std::vector<future<T>> futures) {
        std::unordered_set<const FutureState*> known;
        std::erase_if(futures, [&](const future<T>& each) { return !known.insert(each.state()).second; });
        return futures;
    }
    // In a pool's worker: works itself on what nobody may come to while it waits.
    void work_on_pending() {
        if (FutureState::Guide::of_this_thread == nullptr) return;
        for (const future<T>& each : futures_) {
            if (FutureState::Guide::of_this_thread->work_on(*each.state())) return;
        }
    }

    const std::vector<future<T>> futures_;
    std::vector<bool> has_given_ = std::vector<bool>(futures_.size());
    std::vector<Notice*> notices_;  // the futures' own until withdrawn; dangling when called
    std::shared_ptr<Over> over_ = std::make_shared<Over>();
    std::size_t given_ = 0;
};

/// Reads a completed_futures to its end.
template <class T>
class completed_futures<T>::iterator {
  public:
    using value_type = future<T>;
    using difference_type = std::ptrdiff_t;

    explicit iterator(completed_futures& source) : source_(&source), current_(source.next()) {}
    const future<T>& operator*() const { return *current_; }
    iterator& operator++() {
        current_ = source_->next();
        return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const { return !current_; }

  private:
    completed_futures* source_;
    std::expected<future<T>, channel_error> current_;
};

template <class T>
std::expected<future<T>, channel_error> completed_futures<T>::next_until(Instant deadline) {
    if (given_ == futures_.size()) return std::unexpected(channel_error::closed);
    std::expected<std::size_t, channel_error> index = over_->indices.try_get();
    if (!index) {
        if (deadline == never) work_on_pending();
        index = over_->indices.get_until(deadline);
    }
    if (!index) return std::unexpected(index.error());
    ++given_;
    has_given_[*index] = true;
    return futures_[*index];
}

/// The futures in the order in which they are over. (Of tasks: coro/completions.hpp.)
template <class T>
completed_futures<T> as_completed(std::vector<future<T>> futures) {
    return completed_futures<T>(std::move(futures));
}

/// What a wait for several came to. Each result once, in the order the futures were given.
template <class T>
struct waited {
    std::vector<future<T>> done;      // over: with a value, an exception, or canceled
    std::vector<future<T>> not_done;  // at that moment
};

/// Waits until at least one is over; of none, not at all.
template <class T>
waited<T> wait_first(std::vector<future<T>> futures);
/// The same, for `limit` at most.
template <class T>
waited<T> wait_first(std::vector<future<T>> futures, Duration limit);

/// Waits until one has ended by an exception or was canceled, or all are over.
template <class T>
waited<T> wait_first_exception(std::vector<future<T>> futures);
template <class T>
waited<T> wait_first_exception(std::vector<future<T>> futures, Duration limit);

/// Waits until all are over.
template <class T>
waited<T> wait_all(std::vector<future<T>> futures);
template <class T>
waited<T> wait_all(std::vector<future<T>> futures, Duration limit);

namespace future_detail {

// Until `is_enough(future)` holds for one that is over, or all are.
template <class T, class IsEnough>
waited<T> wait_until(std::vector<future<T>> futures, Instant deadline, IsEnough is_enough) {
    completed_futures<T> order(std::move(futures));
    while (true) {
        const auto over = order.next_until(deadline);
        if (!over || is_enough(*over)) break;
    }
    waited<T> result;
    for (const future<T>& each : order.futures())
        (each.done() ? result.done : result.not_done).push_back(each);
    return result;
}

inline constexpr auto one_is = [](const auto&) { return true; };
inline constexpr auto one_failed = [](const auto& over) { return !over.successful(); };
inline constexpr auto none_is = [](const auto&) { return false; };

}  // namespace future_detail

template <class T>
waited<T> wait_first(std::vector<future<T>> futures) {
    return future_detail::wait_until(std::move(futures), never, future_detail::one_is);
}
template <class T>
waited<T> wait_first(std::vector<future<T>> futures, Duration limit) {
    return future_detail::wait_until(std::move(futures), deadline_in(limit), future_detail::one_is);
}
template <class T>
waited<T> wait_first_exception(std::vector<future<T>> futures) {
    return future_detail::wait_until(std::move(futures), never, future_detail::one_failed);
}
template <class T>
waited<T> wait_first_exception(std::vector<future<T>> futures, Duration limit) {
    return future_detail::wait_until(std::move(futures), deadline_in(limit), future_detail::one_failed);
}
template <class T>
waited<T> wait_all(std::vector<future<T>> futures) {
    return future_detail::wait_until(std::move(futures), never, future_detail::none_is);
}
template <class T>
waited<T> wait_all(std::vector<future<T>> futures, Duration limit) {
    return future_detail::wait_until(std::move(futures), deadline_in(limit), future_detail::none_is);
}

}  // namespace confab
