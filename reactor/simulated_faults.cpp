#include "reactor/simulated_faults.hpp"

#include <algorithm>

namespace confab {

int SimulatedFaults::failure(Kind kind) {
    const std::int64_t appointed = take(failures_, kind);
    if (appointed >= 0) return static_cast<int>(appointed);
    const auto& failure = options_.failures[static_cast<std::size_t>(kind)];
    return chance(failure.probability) ? failure.error : 0;
}

std::size_t SimulatedFaults::piece(Kind kind, std::size_t size) {
    if (size <= 1) return size;
    const std::int64_t appointed = take(pieces_, kind);
    if (appointed >= 0) return std::clamp<std::size_t>(static_cast<std::size_t>(appointed), 1, size);
    const bool shortened = chance(kind == Kind::receive ? options_.short_receive : options_.short_send);
    return shortened ? 1 + below(size - 1) : size;
}

Duration SimulatedFaults::lateness(Kind kind) {
    const std::int64_t appointed = take(delays_, kind);
    if (appointed >= 0) return Duration(appointed);
    return chance(options_.late) ? pause() : Duration::zero();
}

Duration SimulatedFaults::pause() {
    const auto longest = std::max<Duration::rep>(options_.longest_delay.count(), 1);
    return Duration(1 + static_cast<Duration::rep>(below(static_cast<std::uint64_t>(longest))));
}

std::int64_t SimulatedFaults::take(Appointments& appointments, Kind kind) {
    const auto found = std::ranges::find(appointments, kind, &Appointment::kind);
    if (found == appointments.end()) return -1;
    const std::int64_t value = found->value;
    appointments.erase(found);
    return value;
}

// What cannot happen is not thrown for, so that a fault that is off changes nothing in the run.
bool SimulatedFaults::chance(double probability) {
    return probability > 0 && static_cast<double>(next() >> 11) * 0x1p-53 < probability;
}

// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014): good for any seed,
// small ones included.
std::uint64_t SimulatedFaults::next() {
    std::uint64_t mixed = state_ += 0x9e3779b97f4a7c15;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
    return mixed ^ (mixed >> 31);
}

}  // namespace confab
