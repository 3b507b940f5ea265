#include "clients/load/echo_check.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

namespace confab::load {

namespace {

constexpr std::uint64_t period = Pattern::period;

// The number that times `value` is 1, modulo the period, a prime: value^(period - 2).
std::uint64_t inverse(std::uint64_t value) {
    std::uint64_t result = 1;
    for (std::uint64_t power = value % period, exponent = period - 2; exponent > 0; exponent /= 2) {
        if (exponent % 2 == 1) result = result * power % period;
        power = power * power % period;
    }
    return result;
}

// Of the same size.
bool same(Bytes one, Bytes other) { return std::memcmp(one.data(), other.data(), one.size()) == 0; }

}  // namespace

const Faults EchoCheck::none;

std::size_t EchoCheck::take(Bytes bytes, std::size_t under_way) {
    assert(bytes.size() <= pattern_.longest());
    const std::size_t complete = (partial_ + bytes.size()) / size_;
    if (trouble_ || complete > under_way || !same(bytes, pattern_.expected(place_, bytes.size())))
        [[unlikely]]
        return take_carefully(bytes, under_way);
    place_ = (place_ + bytes.size()) % period;
    partial_ = (partial_ + bytes.size()) % size_;
    return complete;
}

std::size_t EchoCheck::take_carefully(Bytes bytes, std::size_t under_way) {
    if (!trouble_) {
        trouble_ = std::make_unique<Trouble>();
        place_ = step_back(place_, partial_);
        const Bytes begun = pattern_.expected(place_, partial_);
        trouble_->message.assign(begun.begin(), begun.end());
    }
    std::size_t answered = 0;
    while (!bytes.empty()) {
        std::vector<std::byte>& message = trouble_->message;
        const std::size_t part = std::min(size_ - message.size(), bytes.size());
        message.insert(message.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(part));
        bytes = bytes.subspan(part);
        if (message.size() == size_) answered += take_message(under_way - answered);
    }
    return answered;
}

// Finds out which message has come; leaves in `message` what of it belongs to the next.
std::size_t EchoCheck::take_message(std::size_t under_way) {
    Trouble& trouble = *trouble_;
    const std::vector<std::byte> message = std::exchange(trouble.message, {});
    if (under_way > 0 && same(message, pattern_.expected(place_, size_))) return skip(1);
    const auto found = size_ >= telling_size ? pattern_.find(message) : std::nullopt;
    const std::int64_t distance = found ? distance_to(*found) : 0;
    if (distance > 0 && distance < static_cast<std::int64_t>(under_way)) {
        const auto between = static_cast<std::uint64_t>(distance);
        for (std::uint64_t i = 0; i < between; ++i) trouble.missing.insert(trouble.next + i);
        while (trouble.missing.size() > missing_limit) {
            trouble.missing.erase(trouble.missing.begin());
            ++trouble.faults.lost;
        }
        return skip(static_cast<std::size_t>(distance) + 1);
    }
    if (distance < 0 && distance >= -static_cast<std::int64_t>(missing_limit)) {
        const bool was_missing =
            trouble.missing.erase(trouble.next - static_cast<std::uint64_t>(-distance)) > 0;
        ++(was_missing ? trouble.faults.reordered : trouble.faults.doubled);
        return 0;
    }
    // It stands for one that was sent, unless none was.
    ++trouble.faults.corrupted;
    if (under_way == 0) return 0;
    if (!found) return skip(1);
    // Known bytes that begin amid a message: some have gone, or came once more. What there is of the message
    // after it is kept, so that the messages to come are whole again.
    const std::size_t ahead = step_back(*found, place_);
    const std::size_t behind = step_back(place_, *found);
    if (behind < size_) {
        trouble.message.assign(message.begin() + static_cast<std::ptrdiff_t>(behind), message.end());
        return 0;
    }
    const std::size_t skipped = ahead / size_ + 1;
    if (skipped > under_way) return skip(1);
    trouble.message.assign(message.end() - static_cast<std::ptrdiff_t>(ahead % size_), message.end());
    trouble.faults.lost += skipped - 1;
    return skip(skipped);
}

// Goes on to the message that is `count` after the one expected so far.
std::size_t EchoCheck::skip(std::size_t count) {
    trouble_->next += count;
    place_ = (place_ + count * size_) % period;
    return count;
}

// How many messages after the expected one (negative: before) is the one that begins at `place`? Every place
// is some message's beginning; one that is no message under way nor a recent one begins amid one.
std::int64_t EchoCheck::distance_to(std::size_t place) const {
    const auto distance = static_cast<std::int64_t>(step_back(place, place_) * inverse(size_) % period);
    return distance > static_cast<std::int64_t>(period / 2) ? distance - static_cast<std::int64_t>(period)
                                                            : distance;
}

std::size_t EchoCheck::step_back(std::size_t place, std::size_t size) {
    return (place + period - size % period) % period;
}

}  // namespace confab::load
