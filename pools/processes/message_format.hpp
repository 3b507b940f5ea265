// Public: how a value travels between processes, as bytes.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <ranges>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "pools/processes/shared_memory.hpp"
#include "pools/serialise.hpp"

namespace confab::processes {

/// What has no format cannot be sent: that does not compile. Plain data, strings, and whatever
/// pools/serialise.hpp carries (but descriptors) have one. For others, specialise this:
///
///     static auto encode(const T&)   its bytes: something that converts to std::span<const std::byte>
///     static T decode(std::span<const std::byte> begin, std::span<const std::byte> end)
///                                    the value again, from bytes in two pieces; throws for what is not one
template <class T>
struct message_format;

template <class T>
concept message = requires(const T& value, std::span<const std::byte> bytes) {
    { std::span<const std::byte>(message_format<T>::encode(value)) };
    { message_format<T>::decode(bytes, bytes) } -> std::same_as<T>;
};

/// Whether the bytes of a T mean the same elsewhere. A pointer that is a member cannot be seen: that is up to
/// you.
template <class T>
concept plain_data = std::is_trivially_copyable_v<T> && address_free<T> && !std::ranges::view<T>;

/// As they are.
template <plain_data T>
struct message_format<T> {
    static std::span<const std::byte> encode(const T& value) { return std::as_bytes(std::span(&value, 1)); }
    static T decode(std::span<const std::byte> begin, std::span<const std::byte> end) {
        std::array<std::byte, sizeof(T)> bytes;
        if (begin.size() + end.size() != sizeof(T)) throw std::logic_error("a message of another type");
        std::ranges::copy(end, std::ranges::copy(begin, bytes.begin()).out);
        return std::bit_cast<T>(bytes);
    }
};

/// Their elements, without a detour.
template <class T>
concept plain_sequence =
    (std::same_as<T, std::string> || std::same_as<T, std::vector<typename T::value_type>>) &&
    plain_data<typename T::value_type> && !std::same_as<typename T::value_type, bool>;
template <plain_sequence T>
struct message_format<T> {
    static std::span<const std::byte> encode(const T& value) { return std::as_bytes(std::span(value)); }
    static T decode(std::span<const std::byte> begin, std::span<const std::byte> end) {
        constexpr std::size_t each = sizeof(typename T::value_type);
        if ((begin.size() + end.size()) % each != 0) throw std::logic_error("a message of another type");
        T value;
        value.resize((begin.size() + end.size()) / each);
        const auto bytes = std::as_writable_bytes(std::span(value));
        std::ranges::copy(end, std::ranges::copy(begin, bytes.begin()).out);
        return value;
    }
};

/// All else.
template <class T>
    requires(!plain_data<T> && !plain_sequence<T> && serialisable<T> && !attachable<T>)
struct message_format<T> {
    static std::vector<std::byte> encode(const T& value) { return to_bytes(value); }
    static T decode(std::span<const std::byte> begin, std::span<const std::byte> end) {
        if (end.empty()) return from_bytes<T>(begin);
        std::vector<std::byte> bytes(begin.begin(), begin.end());
        bytes.insert(bytes.end(), end.begin(), end.end());
        return from_bytes<T>(bytes);
    }
};

}  // namespace confab::processes
