#include "clients/load/result.hpp"

#include <algorithm>

namespace confab::load {

LoadResult& LoadResult::operator+=(const LoadResult& other) {
    measured = std::max(measured, other.measured);
    messages += other.messages;
    answered += other.answered;
    bytes += other.bytes;
    corrected.add(other.corrected);
    uncorrected.add(other.uncorrected);
    faults += other.faults;
    never_sent += other.never_sent;
    served += other.served;
    starved += other.starved;
    answers.insert(answers.end(), other.answers.begin(), other.answers.end());
    bystanders += other.bystanders;
    health.lateness.add(other.health.lateness);
    health.hiccups.add(other.health.hiccups);
    health.cpu += other.health.cpu;
    health.stolen += other.health.stolen;
    server_cpu += other.server_cpu;
    if (first_loss.empty()) first_loss = other.first_loss;
    interrupted = interrupted || other.interrupted;
    all_lost = all_lost && other.all_lost;
    return *this;
}

}  // namespace confab::load
