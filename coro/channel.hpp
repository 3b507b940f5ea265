// Public: values from task to task.
#pragma once

#include <cstddef>
#include <expected>
#include <optional>
#include <source_location>
#include <type_traits>
#include <utility>

#include "coro/wait_list.hpp"
#include "pools/channel_error.hpp"
#include "pools/ring.hpp"

namespace confab {

/// A first-in-first-out queue of at most `capacity` values between tasks. Capacity 0 is a rendezvous: a put
/// returns when its value has been taken. A value goes straight to the task that has waited longest for one.
///
/// A value is in one place at any moment: when a put or get is cancelled or out of time, it was not put, or
/// not got, and the other side never sees it half done.
///
/// After `close`, puts fail at once, also those that wait (what they had to put is dropped); gets drain what
/// is there.
///
/// Memory for the values grows with need, up to the capacity, and stays. `try_put`, `try_get` and `close`
/// never wait and may be called from any job of the reactor. Reactor's thread only; nobody may wait when it
/// dies.
template <class T>
class channel {
    static_assert(std::is_nothrow_move_constructible_v<T>, "a value that throws midway would be lost");

  public:
    class Slot;
    class Put;
    class Get;

    /// A capacity that is never reached: for where something else bounds what is put.
    static constexpr std::size_t unbounded = SIZE_MAX;

    explicit channel(std::size_t capacity) : capacity_(capacity) {}

    /// Waits until there is room and puts `value`; or {closed}. Throws task_canceled.
    [[nodiscard]] Put put(T value, std::source_location where = std::source_location::current()) {
        return Put(*this, std::move(value), where);
    }
    /// The same, for `limit` at most; else {full}. Zero or less only tries.
    [[nodiscard]] WaitList::Limited<Put> put_for(
        Duration limit, T value, std::source_location where = std::source_location::current()) {
        return WaitList::Limited<Put>(limit, *this, std::move(value), where);
    }
    /// Puts `value` if a getter waits for it or there is room; else {full}, or {closed}.
    [[nodiscard]] std::expected<void, channel_error> try_put(T value);

    /// Waits for a value; or {closed}. Throws task_canceled.
    [[nodiscard]] Get get(std::source_location where = std::source_location::current()) {
        return Get(*this, where);
    }
    /// The same, for `limit` at most; else {empty}. Zero or less only tries.
    [[nodiscard]] WaitList::Limited<Get> get_for(
        Duration limit, std::source_location where = std::source_location::current()) {
        return WaitList::Limited<Get>(limit, *this, where);
    }
    /// A value if there is one, or a putter waits with one; else {empty}, or {closed}.
    [[nodiscard]] std::expected<T, channel_error> try_get();

    /// No more is put. Twice: no effect.
    void close();
    bool closed() const { return closed_; }

    /// Values that have been put and not got.
    std::size_t size() const { return values_.size(); }
    std::size_t capacity() const { return capacity_; }

  private:
    bool give(T& value);
    bool take(std::optional<T>& value);

    Ring<T> values_;
    WaitList putters_;  // empty unless the ring is full
    WaitList getters_;  // empty unless the ring is
    const std::size_t capacity_;
    bool closed_ = false;
};

/// A wait with a value: what is to be put, until it is taken, or what was got. Woken without an exchange of
/// values: closed.
template <class T>
class channel<T>::Slot : public WaitList::Awaiter {
  protected:
    Slot(channel& owner, WaitList& list, const WaitKind& kind, std::source_location where)
        : Awaiter(list, kind, false, where), channel_(owner) {}

    channel& channel_;
    std::optional<T> value_;

  private:
    friend class channel;
};

template <class T>
class [[nodiscard]] channel<T>::Put : public Slot {
  public:
    Put(channel& owner, T value, std::source_location where) : Slot(owner, owner.putters_, kind, where) {
        this->value_.emplace(std::move(value));
    }
    bool await_ready() {
        if (this->must_stop()) return false;
        if (this->channel_.closed_) return this->grant();
        if (!this->channel_.give(*this->value_)) return false;
        this->value_.reset();
        return this->grant();
    }
    std::expected<void, channel_error> await_resume() const {
        if (!this->succeeded()) return std::unexpected(channel_error::full);
        if (this->value_) return std::unexpected(channel_error::closed);
        return {};
    }

  private:
    static constexpr WaitKind kind = WaitList::kind("channel put");
};

template <class T>
class [[nodiscard]] channel<T>::Get : public Slot {
  public:
    Get(channel& owner, std::source_location where) : Slot(owner, owner.getters_, kind, where) {}
    bool await_ready() noexcept {
        if (this->must_stop()) return false;
        return (this->channel_.take(this->value_) || this->channel_.closed_) && this->grant();
    }
    std::expected<T, channel_error> await_resume() {
        if (!this->succeeded()) return std::unexpected(channel_error::empty);
        if (!this->value_) return std::unexpected(channel_error::closed);
        return std::move(*this->value_);
    }

  private:
    static constexpr WaitKind kind = WaitList::kind("channel get");
};

// To a getter that waits, or into the ring.
template <class T>
bool channel<T>::give(T& value) {
    if (auto* const getter = static_cast<Slot*>(getters_.first())) {
        getter->value_.emplace(std::move(value));
        getter->wake();
        return true;
    }
    if (values_.size() >= capacity_) return false;
    values_.push(std::move(value));
    return true;
}

// From the ring, where the longest waiting putter then moves up; or, when there is no ring, from that.
template <class T>
bool channel<T>::take(std::optional<T>& value) {
    auto* const putter = static_cast<Slot*>(putters_.first());
    if (!values_.empty()) {
        value.emplace(values_.pop());
        if (putter != nullptr) values_.push(std::move(*putter->value_));
    } else if (putter != nullptr) {
        value.emplace(std::move(*putter->value_));
    } else {
        return false;
    }
    if (putter != nullptr) {
        putter->value_.reset();
        putter->wake();
    }
    return true;
}

template <class T>
std::expected<void, channel_error> channel<T>::try_put(T value) {
    if (closed_) return std::unexpected(channel_error::closed);
    if (!give(value)) return std::unexpected(channel_error::full);
    return {};
}

template <class T>
std::expected<T, channel_error> channel<T>::try_get() {
    std::optional<T> value;
    if (take(value)) return std::move(*value);
    return std::unexpected(closed_ ? channel_error::closed : channel_error::empty);
}

template <class T>
void channel<T>::close() {
    closed_ = true;
    putters_.wake_all();
    getters_.wake_all();
}

}  // namespace confab
