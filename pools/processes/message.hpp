// Public: what the channels between processes have in common.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace confab::processes {

/// What becomes of a message whose taker died before its work was done.
enum class delivery : std::uint32_t {
    at_most_once,  ///< it is counted, and its work with what is done: nobody gets a message twice
    /// The next one to ask gets it, before all that was put later. So when it is closed, getters wait for the
    /// work of other processes, too, before they are told.
    at_least_once,
};

/// What has happened to those who used a channel.
struct channel_deaths {
    std::uint64_t putters = 0;      // died in the middle of a put: what they put is not there
    std::uint64_t getters = 0;      // died in the middle of a get: what they would have got is still there
    std::uint64_t lost = 0;         // messages whose takers died (at_most_once)
    std::uint64_t redelivered = 0;  // the same, for at_least_once
};

/// Reads a message where it lies, in one piece or two, with a lock held. What it throws leaves the message
/// where it is.
class message_reader {
  public:
    virtual void read(std::span<const std::byte> begin, std::span<const std::byte> end) = 0;

  protected:
    ~message_reader() = default;
};

/// A message whose work is not done until this object dies. It moves, must not outlive its channel, and means
/// something only in the process that took it: what a fork makes of it there has no effect.
template <class Channel>
class [[nodiscard]] taken_message {
  public:
    taken_message(Channel& channel, std::uint64_t where) : channel_(&channel), where_(where) {}
    taken_message(taken_message&& other) noexcept
        : channel_(std::exchange(other.channel_, nullptr)), where_(other.where_) {}
    taken_message& operator=(taken_message&&) = delete;
    ~taken_message() {
        if (channel_ != nullptr) channel_->done(where_);
    }

  private:
    Channel* channel_;  // null: another object has the promise
    std::uint64_t where_;
};

}  // namespace confab::processes
