// Public: messages of bytes from process to process, by their order instead of their age.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <utility>
#include <vector>

#include "pools/channel_error.hpp"
#include "pools/clock.hpp"
#include "pools/fd.hpp"
#include "pools/processes/message.hpp"
#include "pools/processes/shared_memory.hpp"

namespace confab::processes {

class WaitList;

/// What byte_channel is, and with all that it promises when processes die, but whoever derives from this says
/// which message is given first. The differences:
///
/// Its bound is in places of the typical size, or of 256 bytes where that is larger, of which a message takes
/// as many as it needs. One that needs more than there are is std::logic_error; one that was taken counts
/// until it is done.
///
/// There is one lock for putters and getters. A put and a get take a number of comparisons that grows with
/// the logarithm of the number of messages; after somebody died with the lock, the next one compares all.
class sorted_byte_channel {
  public:
    using Taken = taken_message<sorted_byte_channel>;

    sorted_byte_channel(sorted_byte_channel&&) noexcept = default;
    sorted_byte_channel& operator=(sorted_byte_channel&&) noexcept = default;
    virtual ~sorted_byte_channel() = default;

    const Fd& descriptor() const { return memory_.descriptor(); }

    /// As in byte_channel. What comparing messages throws, or the reader, leaves all as it was.
    std::expected<void, channel_error> put_until(Instant deadline, std::span<const std::byte> message);
    std::expected<void, channel_error> get_until(Instant deadline, message_reader& reader);
    [[nodiscard]] std::expected<Taken, channel_error> take_until(Instant deadline, message_reader& reader);

    [[nodiscard]] bool join_until(Instant deadline);

    void close();
    void close_now();
    bool closed() const;

    std::size_t size() const;
    bool has_room_for(std::size_t size) const;
    channel_deaths deaths() const;

  protected:
    struct Layout;

    /// A message that lies in the channel.
    class Message {
      public:
        Message(Layout& all, std::uint32_t place, std::vector<std::byte>& gathered)
            : all_(all), place_(place), gathered_(gathered) {}

        /// Larger than of all that were put before.
        std::uint64_t arrival() const;
        /// Copied together when they lie in several places.
        std::span<const std::byte> bytes() const;

      private:
        Layout& all_;
        const std::uint32_t place_;
        std::vector<std::byte>& gathered_;
    };

    /// Throws std::logic_error for a capacity of 0 or more than 2^32 - 2 places, std::system_error as
    /// shared_memory does.
    sorted_byte_channel(std::size_t capacity, std::size_t typical_size, delivery how);
    /// The one that another process made. Throws what shared_memory::attach does, and std::invalid_argument
    /// when that is something else.
    explicit sorted_byte_channel(Fd descriptor);

    /// Whether `one` is given before `other`. A strict weak order, the same in every process. Called with the
    /// lock held: it must not use the channel. Must not refer to the bytes once it has returned.
    virtual bool is_before(const Message& one, const Message& other) const = 0;

  private:
    struct Place;
    class Held;
    friend Taken;

    Layout& layout() const;
    template <class Happened>
    void wait(WaitList& list, std::uint32_t seen, Instant deadline, Happened happened);
    void look_after();
    static void tell_of_room(Layout& all, std::uint32_t places);
    bool is_before(Layout& all, std::uint32_t one, std::uint32_t other) const;
    void sort(Layout& all) const;
    std::expected<std::uint32_t, channel_error> next(Instant deadline, message_reader& reader, bool keeps);
    void done(std::uint64_t place);
    void close_to(std::uint32_t closing);

    shared_memory memory_;
};

/// Last in, first out.
class lifo_byte_channel final : public sorted_byte_channel {
  public:
    /// As sorted_byte_channel.
    lifo_byte_channel(std::size_t capacity, std::size_t typical_size, delivery how)
        : sorted_byte_channel(capacity, typical_size, how) {}
    static lifo_byte_channel attach(Fd descriptor) { return lifo_byte_channel(std::move(descriptor)); }

  private:
    explicit lifo_byte_channel(Fd descriptor) : sorted_byte_channel(std::move(descriptor)) {}

    bool is_before(const Message& one, const Message& other) const override {
        return one.arrival() > other.arrival();
    }
};

}  // namespace confab::processes
