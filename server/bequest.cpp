#include "server/bequest.hpp"

#include <spdlog/spdlog.h>

#include <chrono>
#include <exception>
#include <utility>

#include "pools/serialise.hpp"

namespace confab {

namespace {

// How long a successor may take nothing of what it inherits. It has nothing else to do on the thread that
// receives.
constexpr auto longest_sending = std::chrono::seconds(5);

}  // namespace

void Bequest::send(Traveller traveller, Answer answer) {
    std::vector<std::byte> bytes;
    std::vector<int> descriptors;
    byte_writer archive(bytes, &descriptors);
    serialise(archive, traveller);
    if (!dispatch(traveller, answer, bytes, descriptors)) answer(std::move(traveller));
}

// False: it is still the caller's. It is in the queue before it is on its way, since the answer may come at
// once; the thread that hears that must not wait for a successor that waits for it.
bool Bequest::dispatch(Traveller& traveller, Answer& answer, const std::vector<std::byte>& bytes,
                       const std::vector<int>& descriptors) {
    const MutexLock one_at_a_time(sending_);
    {
        const MutexLock lock(mutex_);
        if (!is_open_) return false;
        under_way_.push_back({std::move(traveller), std::move(answer)});
    }
    const auto sent = heir_.send_for(longest_sending, bytes, descriptors);
    if (sent) return true;
    const MutexLock lock(mutex_);
    is_open_ = false;
    if (sent.error() == connection_error::closed || under_way_.empty()) return true;  // `hear` sees to all
    traveller = std::move(under_way_.back().traveller);
    answer = std::move(under_way_.back().answer);
    under_way_.pop_back();
    return false;
}

void Bequest::hear() {
    while (true) {
        const auto message = heir_.receive_for(Duration::zero());
        if (!message && message.error() == connection_error::empty) return;
        std::deque<UnderWay> answered;
        {
            const MutexLock lock(mutex_);
            if (message && !under_way_.empty()) {
                answered.push_back(std::move(under_way_.front()));
                under_way_.pop_front();
            } else {
                is_open_ = false;
                answered.swap(under_way_);
            }
        }
        if (message) {
            for (UnderWay& each : answered) {
                held_.push_back(std::move(each.traveller.state));
                each.answer(std::nullopt);
            }
            continue;
        }
        for (const std::string& state : held_) lost_(state);
        held_.clear();
        for (UnderWay& each : answered) each.answer(std::move(each.traveller));
        heard_all_ = true;
        return;
    }
}

// Said before it is used: a predecessor that is not told still has it, and this copy must not be touched.
// When anything goes wrong the predecessor is left: it keeps what it has not been told about.
std::optional<Traveller> Inheritance::receive() {
    try {
        auto message = predecessor_.receive_for(Duration::zero());
        if (!message && message.error() == connection_error::empty) return std::nullopt;
        if (message) {
            byte_reader archive(message->bytes, message->descriptors);
            auto traveller = deserialise<Traveller>(archive);
            if (predecessor_.send_for(longest_sending, {})) return traveller;
        }
    } catch (const std::exception& failure) {
        spdlog::error("no more connections are inherited: {}", failure.what());
    }
    predecessor_.close();
    return std::nullopt;
}

}  // namespace confab
