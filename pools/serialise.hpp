// Public: values as bytes, for another process of the same program. The only file that knows cereal.
//
// What can be carried: numbers, enumerations, std's strings, containers, tuples, optionals, variants, chrono
// and smart pointers of such; classes of yours that say how, in the manner of cereal:
//
//     struct point {
//         int x, y;
//         template <class Archive>
//         void serialize(Archive& archive) { archive(x, y); }
//     };
//
// and, with the descriptors they stand on, Fd and the ends of pipes. Pointers, references, views and whatever
// else cannot mean the same elsewhere do not compile.
#pragma once

#include <cereal/cereal.hpp>
#include <cereal/types/array.hpp>
#include <cereal/types/bitset.hpp>
#include <cereal/types/chrono.hpp>
#include <cereal/types/complex.hpp>
#include <cereal/types/deque.hpp>
#include <cereal/types/list.hpp>
#include <cereal/types/map.hpp>
#include <cereal/types/memory.hpp>
#include <cereal/types/optional.hpp>
#include <cereal/types/set.hpp>
#include <cereal/types/string.hpp>
#include <cereal/types/tuple.hpp>
#include <cereal/types/unordered_map.hpp>
#include <cereal/types/unordered_set.hpp>
#include <cereal/types/utility.hpp>
#include <cereal/types/variant.hpp>
#include <cereal/types/vector.hpp>
#include <concepts>
#include <cstddef>
#include <cstring>
#include <ios>
#include <memory>
#include <span>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <vector>

#include "pools/connection.hpp"
#include "pools/fd.hpp"

namespace confab {

/// Bytes ended before the value did: they are of another type, or damaged.
class serialisation_error : public std::runtime_error {
  public:
    serialisation_error() : std::runtime_error("the bytes are not those of a value of this type") {}
};

/// Puts values behind each other into `bytes`, and the numbers of descriptors that go with them into
/// `descriptors`. These stay their owners'. A cereal archive.
class byte_writer : public cereal::OutputArchive<byte_writer, cereal::AllowEmptyClassElision> {
  public:
    explicit byte_writer(std::vector<std::byte>& bytes, std::vector<int>* descriptors = nullptr)
        : OutputArchive(this), bytes_(bytes), descriptors_(descriptors) {}

    void write(const void* data, std::size_t size) {
        const auto* const first = static_cast<const std::byte*>(data);
        bytes_.insert(bytes_.end(), first, first + size);
    }
    /// Throws std::logic_error where descriptors cannot go along.
    void write_descriptor(int descriptor) {
        if (descriptors_ == nullptr) throw std::logic_error("a descriptor cannot be carried there");
        descriptors_->push_back(descriptor);
    }

  private:
    std::vector<std::byte>& bytes_;
    std::vector<int>* descriptors_;
};

/// Takes them out again, in the same order. Throws serialisation_error.
class byte_reader : public cereal::InputArchive<byte_reader, cereal::AllowEmptyClassElision> {
  public:
    explicit byte_reader(std::span<const std::byte> bytes, std::span<Fd> descriptors = {})
        : InputArchive(this), bytes_(bytes), descriptors_(descriptors) {}

    void read(void* data, std::size_t size) {
        if (size > bytes_.size()) throw serialisation_error();
        if (size > 0) std::memcpy(data, bytes_.data(), size);
        bytes_ = bytes_.subspan(size);
    }
    Fd read_descriptor() {
        if (descriptors_.empty()) throw serialisation_error();
        Fd taken = std::move(descriptors_.front());
        descriptors_ = descriptors_.subspan(1);
        return taken;
    }
    bool is_at_end() const { return bytes_.empty() && descriptors_.empty(); }

  private:
    std::span<const std::byte> bytes_;
    std::span<Fd> descriptors_;
};

// What cereal calls for the simplest types.

template <class T>
    requires std::is_arithmetic_v<T>
void save(byte_writer& archive, const T& value) {
    archive.write(&value, sizeof value);
}
template <class T>
    requires std::is_arithmetic_v<T>
void load(byte_reader& archive, T& value) {
    archive.read(&value, sizeof value);
}
template <class T>
void save(byte_writer& archive, const cereal::BinaryData<T>& data) {
    archive.write(data.data, static_cast<std::size_t>(data.size));
}
template <class T>
void load(byte_reader& archive, cereal::BinaryData<T>& data) {
    archive.read(data.data, static_cast<std::size_t>(data.size));
}
template <class T>
void save(byte_writer& archive, const cereal::NameValuePair<T>& pair) {
    archive(pair.value);
}
template <class T>
void load(byte_reader& archive, cereal::NameValuePair<T>& pair) {
    archive(pair.value);
}
template <class T>
void save(byte_writer& archive, const cereal::SizeTag<T>& tag) {
    archive(tag.size);
}
template <class T>
void load(byte_reader& archive, cereal::SizeTag<T>& tag) {
    archive(tag.size);
}

inline void save(byte_writer& archive, const Fd& descriptor) { archive.write_descriptor(descriptor.get()); }
inline void load(byte_reader& archive, Fd& descriptor) { descriptor = archive.read_descriptor(); }

template <class End>
concept pipe_end = std::same_as<End, reader> || std::same_as<End, writer> || std::same_as<End, connection>;
template <pipe_end End>
void save(byte_writer& archive, const End& end) {
    archive.write_descriptor(end.descriptor());
}
template <pipe_end End>
void load(byte_reader& archive, End& end) {
    end = End(archive.read_descriptor());
}

/// What is made from a descriptor, such as shared memory: T::attach(Fd), and back by descriptor() or
/// memory().descriptor().
template <class T>
concept attachable = requires(Fd descriptor) {
    { T::attach(std::move(descriptor)) } -> std::same_as<T>;
};

/// A function by its address, or a function object without state: both mean the same in every process that
/// was forked from this program. A lambda without captures is one.
template <class T>
concept stateless_function =
    (std::is_pointer_v<T> && std::is_function_v<std::remove_pointer_t<T>>) ||
    (std::is_empty_v<T> && std::is_trivially_copyable_v<T> && std::default_initializable<T> &&
     !cereal::traits::is_output_serializable<T, byte_writer>::value);

/// What `serialise` carries. For a container it looks no deeper than cereal does: one of something that
/// cannot be carried passes here, and does not compile there.
template <class T>
concept serialisable =
    stateless_function<T> || attachable<T> ||
    (!std::is_pointer_v<T> && cereal::traits::is_output_serializable<T, byte_writer>::value &&
     cereal::traits::is_input_serializable<T, byte_reader>::value);

/// Puts `value` behind what the archive has.
template <serialisable T>
void serialise(byte_writer& archive, const T& value) {
    if constexpr (stateless_function<T>) {
        if constexpr (std::is_pointer_v<T>) archive.write(static_cast<const void*>(&value), sizeof value);
    } else if constexpr (attachable<T>) {
        if constexpr (requires { value.descriptor().get(); }) {
            archive.write_descriptor(value.descriptor().get());
        } else {
            archive.write_descriptor(value.memory().descriptor().get());
        }
    } else {
        archive(value);
    }
}

/// The next value.
template <serialisable T>
T deserialise(byte_reader& archive) {
    if constexpr (stateless_function<T>) {
        T function{};
        if constexpr (std::is_pointer_v<T>) archive.read(static_cast<void*>(&function), sizeof function);
        return function;
    } else if constexpr (attachable<T>) {
        return T::attach(archive.read_descriptor());
    } else {
        T value{};
        archive(value);
        return value;
    }
}

/// One value, alone.
template <serialisable T>
std::vector<std::byte> to_bytes(const T& value) {
    std::vector<std::byte> bytes;
    byte_writer archive(bytes);
    serialise(archive, value);
    return bytes;
}
/// Throws serialisation_error when the bytes are too few or too many.
template <serialisable T>
T from_bytes(std::span<const std::byte> bytes) {
    byte_reader archive(bytes);
    T value = deserialise<T>(archive);
    if (!archive.is_at_end()) throw serialisation_error();
    return value;
}

}  // namespace confab

CEREAL_SETUP_ARCHIVE_TRAITS(confab::byte_reader, confab::byte_writer)
