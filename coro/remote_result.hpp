// Public: awaiting what another thread will give.
#pragma once

#include <exception>
#include <future>
#include <memory>
#include <optional>
#include <source_location>
#include <type_traits>
#include <utility>
#include <variant>

#include "coro/wait_list.hpp"
#include "pools/annotated_mutex.hpp"
#include "reactor/reactor.hpp"

namespace confab {

/// What all remote results have in common: shared by the two sides, each of which may be gone first.
class RemoteState : Job {
  public:
    RemoteState(const RemoteState&) = delete;
    RemoteState& operator=(const RemoteState&) = delete;

    // The reactor's side.

    explicit RemoteState(Reactor& reactor) : Job(&arrive), reactor_(&reactor) {}
    /// From now on another thread has a part in this.
    void promised();
    /// Nobody waits any more: what comes now is dropped.
    void abandon();
    bool arrived() const { return arrived_; }
    WaitList& waiters() { return waiters_; }
    const std::exception_ptr& exception() const { return exception_; }

    // Any thread.

    void set_exception(std::exception_ptr exception);
    bool is_set() const;

  protected:
    ~RemoteState() = default;

    /// Calls `store`, unless nobody waits, and lets the reactor know. Throws std::future_error when it was
    /// set before.
    template <class Store>
    void set(Store store) {
        const MutexLock lock(mutex_);
        if (set_) throw std::future_error(std::future_errc::promise_already_satisfied);
        if (reactor_ != nullptr) store();
        set_ = true;
        if (reactor_ != nullptr) reactor_->post(*this);
    }

  private:
    static void arrive(Job& job) noexcept;

    mutable Mutex mutex_;
    Reactor* reactor_ CONFAB_GUARDED_BY(mutex_);  // null once abandoned
    bool set_ CONFAB_GUARDED_BY(mutex_) = false;
    std::exception_ptr exception_;  // written before the post, read after the arrival

    // The reactor's thread only.
    WaitList waiters_;
    bool held_ = false;  // true exactly when promised and neither arrived nor abandoned
    bool arrived_ = false;
};

template <class T>
class RemoteValue final : public RemoteState {
  public:
    using Stored = std::conditional_t<std::is_void_v<T>, std::monostate, T>;
    using RemoteState::RemoteState;

    template <class... Value>
    void set_value(Value&&... value) {
        set([&] { value_.emplace(std::forward<Value>(value)...); });
    }
    T take() {
        if (exception()) std::rethrow_exception(exception());
        if constexpr (!std::is_void_v<T>) return std::move(*value_);
    }

  private:
    std::optional<Stored> value_;  // as exception_
};

/// The side of the thread that gives the result: once, a value or an exception. Dropped without: the other
/// side gets std::future_error (broken_promise). Never waits, may outlive the reactor. One thread at a time,
/// whichever.
template <class T>
class remote_promise {
  public:
    remote_promise(remote_promise&&) noexcept = default;
    remote_promise& operator=(remote_promise other) noexcept {
        std::swap(state_, other.state_);
        return *this;
    }
    ~remote_promise() {
        if (state_ == nullptr || state_->is_set()) return;
        state_->set_exception(std::make_exception_ptr(std::future_error(std::future_errc::broken_promise)));
    }

    /// Throws std::future_error when it was set before.
    template <class... Value>
    void set_value(Value&&... value) {
        state_->set_value(std::forward<Value>(value)...);
    }
    void set_exception(std::exception_ptr exception) { state_->set_exception(std::move(exception)); }

  private:
    template <class>
    friend class remote_result;
    explicit remote_promise(std::shared_ptr<RemoteValue<T>> state) : state_(std::move(state)) {}

    std::shared_ptr<RemoteValue<T>> state_;
};

/// The side of the task that waits.
///
///     remote_result<int> answer;
///     start_elsewhere(answer.promise());
///     const int value = co_await answer.get();
///
/// While it lives and has given a promise that is not kept, it holds the reactor: waiting for another thread
/// is no deadlock. It may die at any time; what comes after that is dropped. Reactor's thread only.
template <class T>
class remote_result {
  public:
    class Get;

    explicit remote_result(Reactor& reactor = *Reactor::current())
        : state_(std::make_shared<RemoteValue<T>>(reactor)) {}
    remote_result(const remote_result&) = delete;
    remote_result& operator=(const remote_result&) = delete;
    ~remote_result() { state_->abandon(); }

    /// The other side. Once.
    [[nodiscard]] remote_promise<T> promise() {
        state_->promised();
        return remote_promise<T>(state_);
    }

    /// True when the result is here.
    bool ready() const { return state_->arrived(); }

    /// Waits for the result and gives it, once, or throws what was set. Throws task_canceled.
    [[nodiscard]] Get get(std::source_location where = std::source_location::current()) {
        return Get(*state_, where);
    }
    /// Waits until the result is here, for `limit` at most; gives whether it is. Zero or less only looks.
    [[nodiscard]] auto wait_for(Duration limit,
                                std::source_location where = std::source_location::current()) {
        return WaitList::Limited<WaitList::Awaiter>(limit, state_->waiters(), Get::kind, ready(), where);
    }

  private:
    std::shared_ptr<RemoteValue<T>> state_;
};

template <class T>
class [[nodiscard]] remote_result<T>::Get : public WaitList::Awaiter {
  public:
    static constexpr WaitKind kind = WaitList::kind("another thread");

    Get(RemoteValue<T>& state, std::source_location where)
        : Awaiter(state.waiters(), kind, state.arrived(), where), state_(state) {}
    T await_resume() {
        succeeded();
        return state_.take();
    }

  private:
    RemoteValue<T>& state_;
};

}  // namespace confab
