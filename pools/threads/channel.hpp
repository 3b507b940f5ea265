// Public: values from thread to thread.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include "pools/annotated_mutex.hpp"
#include "pools/channel_error.hpp"
#include "pools/clock.hpp"
#include "pools/heap.hpp"
#include "pools/ring.hpp"
#include "pools/sleepers.hpp"
#include "pools/stack.hpp"

namespace confab::threads {

/// A queue of at most `capacity` values between threads, the same number for ever; `Store` says in which
/// order it gives them. Any thread. Nobody may use it when it dies, but for one thing: who got the last value
/// may destroy it though the put of that value has not returned yet.
///
/// A value is in one place at any moment: what was not put, in time or at all, never becomes visible, and is
/// dropped. Who has waited longest does not necessarily come first.
///
/// Closing is how every wait ends: `close` lets getters drain what is there, `close_now` drops it.
///
/// Whoever must know when the values have been worked on, not only got, uses `take`, which gives a guard, in
/// the place of `get`, and waits with `join`. (Or, as with Python's JoinableQueue, `get` and `task_done`.)
///
/// Time limits: zero or less only tries and is no error; the calls without one have none.
///
/// Memory for the values grows with need, up to the capacity, and stays: warm, nothing is allocated. A put
/// and a get make no system call unless somebody sleeps, or must.
template <class T, class Store>
class basic_channel {
    static_assert(std::is_nothrow_move_constructible_v<T>, "a value that throws midway would be lost");

  public:
    class Taken;

    /// A capacity that is never reached: for where something else bounds what is put.
    static constexpr std::size_t unbounded = SIZE_MAX;

    /// Throws std::logic_error for a capacity of 0, Python's word for `unbounded`.
    explicit basic_channel(std::size_t capacity, Store store = Store());
    basic_channel(const basic_channel&) = delete;
    basic_channel& operator=(const basic_channel&) = delete;

    /// Waits until there is room and puts `value`; or {closed}. Each put throws what the store throws
    /// (std::bad_alloc; whatever a comparator throws), and has not put `value` then.
    std::expected<void, channel_error> put(T value) { return put_until(never, std::move(value)); }
    /// The same, for `limit` at most; else {full}.
    std::expected<void, channel_error> put_for(Duration limit, T value) {
        return put_until(deadline_in(limit), std::move(value));
    }
    std::expected<void, channel_error> put_until(Instant deadline, T value);
    /// Puts `value` if there is room; else {full}, or {closed}.
    std::expected<void, channel_error> try_put(T value) {
        return put_until(Instant::min(), std::move(value));
    }

    /// Waits for a value; or {closed}. Each get throws what a comparator throws, and has got nothing then.
    [[nodiscard]] std::expected<T, channel_error> get() { return get_until(never); }
    /// The same, for `limit` at most; else {empty}.
    [[nodiscard]] std::expected<T, channel_error> get_for(Duration limit) {
        return get_until(deadline_in(limit));
    }
    [[nodiscard]] std::expected<T, channel_error> get_until(Instant deadline);
    /// A value if there is one; else {empty}, or {closed}.
    [[nodiscard]] std::expected<T, channel_error> try_get() { return get_until(Instant::min()); }

    /// As the gets, with a guard that calls `task_done` when it dies.
    [[nodiscard]] std::expected<Taken, channel_error> take() { return take_until(never); }
    [[nodiscard]] std::expected<Taken, channel_error> take_for(Duration limit) {
        return take_until(deadline_in(limit));
    }
    [[nodiscard]] std::expected<Taken, channel_error> take_until(Instant deadline);
    [[nodiscard]] std::expected<Taken, channel_error> try_take() { return take_until(Instant::min()); }

    /// One value's work is done. Throws std::logic_error, and changes nothing, when that has been said for
    /// every value that was ever put.
    void task_done();

    /// Waits until the work of every value that was put is done. What `close_now` drops counts as done.
    void join() { static_cast<void>(join_until(never)); }
    /// The same, for `limit` at most; false then.
    [[nodiscard]] bool join_for(Duration limit) { return join_until(deadline_in(limit)); }
    [[nodiscard]] bool join_until(Instant deadline);

    /// No more is put, also by those who wait to; what is there can be got. Twice: no effect.
    void close();
    /// No more is put and no more is got. Also after `close`.
    void close_now();
    bool closed() const;

    /// Values that can be got; of this moment, and so are `empty` and `full`.
    std::size_t size() const;
    bool empty() const { return size() == 0; }
    bool full() const { return size() >= capacity_; }
    std::size_t capacity() const { return capacity_; }

  private:
    mutable Mutex mutex_;
    Store values_ CONFAB_GUARDED_BY(mutex_);
    Sleepers getters_, putters_, joiners_;                  // all of mutex_
    std::size_t unfinished_ CONFAB_GUARDED_BY(mutex_) = 0;  // values put, less those done or dropped
    bool closed_ CONFAB_GUARDED_BY(mutex_) = false;
    const std::size_t capacity_;
};

/// First in, first out.
template <class T>
using channel = basic_channel<T, Ring<T>>;

/// Last in, first out.
template <class T>
using lifo_channel = basic_channel<T, Stack<T>>;

/// The least first, by `Compare`; among equals first in, first out. Values without an order do not compile:
/// give them one.
template <class T, std::predicate<const T&, const T&> Compare = std::less<>>
using priority_channel = basic_channel<T, Heap<T, Compare>>;

/// A value, and the promise that its work will be said to be done: when this object dies, in whatever way. It
/// moves, and must not outlive its channel. One thread at a time.
template <class T, class Store>
class [[nodiscard]] basic_channel<T, Store>::Taken {
  public:
    Taken(basic_channel& channel, T value) : channel_(&channel), value_(std::move(value)) {}
    Taken(Taken&& other) noexcept
        : channel_(std::exchange(other.channel_, nullptr)), value_(std::move(other.value_)) {}
    Taken& operator=(Taken&&) = delete;
    ~Taken() {
        if (channel_ != nullptr) channel_->task_done();
    }

    T& operator*() { return value_; }
    const T& operator*() const { return value_; }
    T* operator->() { return &value_; }
    const T* operator->() const { return &value_; }

  private:
    basic_channel* channel_;  // null: another object has the promise
    T value_;
};

template <class T, class Store>
basic_channel<T, Store>::basic_channel(std::size_t capacity, Store store)
    : values_(std::move(store)), capacity_(capacity) {
    if (capacity == 0) {
        throw std::logic_error("a channel needs room for one value at least; say `unbounded` for no bound");
    }
}

template <class T, class Store>
std::expected<void, channel_error> basic_channel<T, Store>::put_until(Instant deadline, T value) {
    std::uint32_t claims = 0;
    {
        MutexLock lock(mutex_);
        for (Sleepers::Wait wait(putters_, deadline); !closed_ && values_.size() >= capacity_;) {
            if (!wait.go_on(lock)) return std::unexpected(channel_error::full);
        }
        if (closed_) return std::unexpected(channel_error::closed);
        values_.push(std::move(value));
        ++unfinished_;
        claims = getters_.claim(1);
    }
    getters_.wake(claims);
    return {};
}

template <class T, class Store>
std::expected<T, channel_error> basic_channel<T, Store>::get_until(Instant deadline) {
    MutexLock lock(mutex_);
    for (Sleepers::Wait wait(getters_, deadline); values_.empty();) {
        if (closed_) return std::unexpected(channel_error::closed);
        if (!wait.go_on(lock)) return std::unexpected(channel_error::empty);
    }
    std::expected<T, channel_error> value(values_.pop());
    const std::uint32_t claims = putters_.claim(1);
    lock.unlock();
    putters_.wake(claims);
    return value;
}

template <class T, class Store>
auto basic_channel<T, Store>::take_until(Instant deadline) -> std::expected<Taken, channel_error> {
    std::expected<T, channel_error> value = get_until(deadline);
    if (!value) return std::unexpected(value.error());
    return std::expected<Taken, channel_error>(std::in_place, *this, std::move(*value));
}

template <class T, class Store>
void basic_channel<T, Store>::task_done() {
    MutexLock lock(mutex_);
    if (unfinished_ == 0)
        throw std::logic_error("task_done more often than values were put; `take` keeps count by itself");
    const std::uint32_t claims = --unfinished_ == 0 ? joiners_.claim_all() : 0;
    lock.unlock();
    joiners_.wake(claims);
}

template <class T, class Store>
bool basic_channel<T, Store>::join_until(Instant deadline) {
    MutexLock lock(mutex_);
    for (Sleepers::Wait wait(joiners_, deadline); unfinished_ > 0;) {
        if (!wait.go_on(lock)) return false;
    }
    return true;
}

template <class T, class Store>
void basic_channel<T, Store>::close() {
    MutexLock lock(mutex_);
    closed_ = true;
    const std::uint32_t getters = getters_.claim_all();
    const std::uint32_t putters = putters_.claim_all();
    lock.unlock();
    getters_.wake(getters);
    putters_.wake(putters);
}

template <class T, class Store>
void basic_channel<T, Store>::close_now() {
    close();
    // The values die without the lock: their destructors may ask for this channel.
    std::optional<Store> dropped;
    MutexLock lock(mutex_);
    dropped.emplace(std::move(values_));
    unfinished_ -= std::min(unfinished_, dropped->size());
    const std::uint32_t claims = unfinished_ == 0 ? joiners_.claim_all() : 0;
    lock.unlock();
    joiners_.wake(claims);
}

template <class T, class Store>
bool basic_channel<T, Store>::closed() const {
    const MutexLock lock(mutex_);
    return closed_;
}

template <class T, class Store>
std::size_t basic_channel<T, Store>::size() const {
    const MutexLock lock(mutex_);
    return values_.size();
}

}  // namespace confab::threads
