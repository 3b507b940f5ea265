// Public: values from process to process.
#pragma once

#include <concepts>
#include <cstddef>
#include <expected>
#include <functional>
#include <optional>
#include <span>
#include <utility>

#include "pools/channel_error.hpp"
#include "pools/clock.hpp"
#include "pools/fd.hpp"
#include "pools/processes/byte_channel.hpp"
#include "pools/processes/message_format.hpp"
#include "pools/processes/sorted_byte_channel.hpp"

namespace confab::processes {

/// A queue of values between processes; `Bytes` says in which order it gives them, how it is shared, what it
/// promises when processes die, and what its bound is: pools/processes/byte_channel.hpp and, for other orders
/// than first in, first out, sorted_byte_channel.hpp. Values travel as bytes (message_format.hpp): what
/// cannot does not compile.
///
///     processes::channel<std::string> names(100);
///     processes::process reader([&] { while (const auto name = names.get()) std::puts(name->c_str()); });
///     names.put("alex");
///     names.close();
///
/// The calls are those of threads::channel. What is not there: `task_done` of one's own, since between
/// processes it must be known whose work it is: use `take`.
template <message T, class Bytes>
class basic_channel {
  public:
    class Taken;

    /// Has room for `capacity` values of `typical_size` bytes. A value larger than all of it cannot be put:
    /// std::logic_error. Throws that, too, for a capacity of 0, and std::system_error as shared_memory does.
    /// `order`: what a priority channel compares with, if that is no type of which one is made of nothing.
    template <class... Order>
    explicit basic_channel(std::size_t capacity, delivery how = delivery::at_most_once,
                           std::size_t typical_size = sizeof(T), Order... order)
        : bytes_(capacity, typical_size, how, std::move(order)...), typical_size_(typical_size) {}
    /// The channel that another process made, of values of the same type and in the same order. Throws what
    /// Bytes::attach does.
    template <class... Order>
    static basic_channel attach(Fd descriptor, std::size_t typical_size = sizeof(T), Order... order) {
        return basic_channel(Bytes::attach(std::move(descriptor), std::move(order)...), typical_size);
    }
    const Fd& descriptor() const { return bytes_.descriptor(); }

    /// Waits until there is room and puts the value; or {closed}. When it has returned, whatever happens to
    /// this process, the value is there.
    std::expected<void, channel_error> put(const T& value) { return put_until(never, value); }
    /// The same, for `limit` at most; else {full}.
    std::expected<void, channel_error> put_for(Duration limit, const T& value) {
        return put_until(deadline_in(limit), value);
    }
    std::expected<void, channel_error> put_until(Instant deadline, const T& value) {
        const auto& encoded = message_format<T>::encode(value);
        return bytes_.put_until(deadline, encoded);
    }
    std::expected<void, channel_error> try_put(const T& value) { return put_until(Instant::min(), value); }

    /// Waits for a value; or {closed}. Throws what making the value of its bytes throws; it stays there then.
    [[nodiscard]] std::expected<T, channel_error> get() { return get_until(never); }
    /// The same, for `limit` at most; else {empty}.
    [[nodiscard]] std::expected<T, channel_error> get_for(Duration limit) {
        return get_until(deadline_in(limit));
    }
    [[nodiscard]] std::expected<T, channel_error> get_until(Instant deadline) {
        Decode reader;
        const auto got = bytes_.get_until(deadline, reader);
        if (!got) return std::unexpected(got.error());
        return std::move(*reader.value);
    }
    [[nodiscard]] std::expected<T, channel_error> try_get() { return get_until(Instant::min()); }

    /// As the gets, with a guard: until it dies the work is not done, and the value keeps its place.
    [[nodiscard]] std::expected<Taken, channel_error> take() { return take_until(never); }
    [[nodiscard]] std::expected<Taken, channel_error> take_for(Duration limit) {
        return take_until(deadline_in(limit));
    }
    [[nodiscard]] std::expected<Taken, channel_error> take_until(Instant deadline) {
        Decode reader;
        auto taken = bytes_.take_until(deadline, reader);
        if (!taken) return std::unexpected(taken.error());
        return Taken(std::move(*taken), std::move(*reader.value));
    }
    [[nodiscard]] std::expected<Taken, channel_error> try_take() { return take_until(Instant::min()); }

    /// Waits until the work of every value is done, or its taker's death was noticed and counted.
    void join() { static_cast<void>(bytes_.join_until(never)); }
    /// The same, for `limit` at most; false then.
    [[nodiscard]] bool join_for(Duration limit) { return bytes_.join_until(deadline_in(limit)); }
    [[nodiscard]] bool join_until(Instant deadline) { return bytes_.join_until(deadline); }

    /// No more is put, in any process, also by those who wait to; what is there can be got. Twice: no effect.
    void close() { bytes_.close(); }
    /// No more is put and no more is got. Also after `close`.
    void close_now() { bytes_.close_now(); }
    bool closed() const { return bytes_.closed(); }

    /// Values that can be got; of this moment, and so are `empty` and `full`.
    std::size_t size() const { return bytes_.size(); }
    bool empty() const { return size() == 0; }
    /// No value of the typical size can be put. What was taken and is not done takes its room.
    bool full() const { return !bytes_.has_room_for(typical_size_); }

    channel_deaths deaths() const { return bytes_.deaths(); }

  private:
    struct Decode final : message_reader {
        void read(std::span<const std::byte> begin, std::span<const std::byte> end) override {
            value.emplace(message_format<T>::decode(begin, end));
        }
        std::optional<T> value;
    };

    basic_channel(Bytes bytes, std::size_t typical_size)
        : bytes_(std::move(bytes)), typical_size_(typical_size) {}

    Bytes bytes_;
    const std::size_t typical_size_;
};

/// Compares values; among equals first in, first out. What comparing or decoding throws leaves the channel as
/// it was.
template <message T, std::predicate<const T&, const T&> Compare>
class priority_byte_channel final : public sorted_byte_channel {
  public:
    /// As sorted_byte_channel.
    priority_byte_channel(std::size_t capacity, std::size_t typical_size, delivery how, Compare compare = {})
        : sorted_byte_channel(capacity, typical_size, how), compare_(std::move(compare)) {}
    static priority_byte_channel attach(Fd descriptor, Compare compare = {}) {
        return priority_byte_channel(std::move(descriptor), std::move(compare));
    }

  private:
    priority_byte_channel(Fd descriptor, Compare compare)
        : sorted_byte_channel(std::move(descriptor)), compare_(std::move(compare)) {}

    bool is_before(const Message& one, const Message& other) const override {
        return compare_(message_format<T>::decode(one.bytes(), {}),
                        message_format<T>::decode(other.bytes(), {}));
    }

    Compare compare_;
};

/// First in, first out.
template <message T>
using channel = basic_channel<T, byte_channel>;

/// Last in, first out.
template <message T>
using lifo_channel = basic_channel<T, lifo_byte_channel>;

/// The least first, by `Compare`, which must say the same in every process; among equals first in, first out.
/// Values without an order do not compile: give them one.
template <message T, std::predicate<const T&, const T&> Compare = std::less<>>
using priority_channel = basic_channel<T, priority_byte_channel<T, Compare>>;

/// A value whose work is not done until this object dies. It moves, and must not outlive its channel.
template <message T, class Bytes>
class [[nodiscard]] basic_channel<T, Bytes>::Taken {
  public:
    Taken(Bytes::Taken promise, T value) : promise_(std::move(promise)), value_(std::move(value)) {}

    T& operator*() { return value_; }
    const T& operator*() const { return value_; }
    T* operator->() { return &value_; }
    const T* operator->() const { return &value_; }

  private:
    Bytes::Taken promise_;
    T value_;
};

}  // namespace confab::processes
