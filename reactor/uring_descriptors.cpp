#include "reactor/uring_descriptors.hpp"

namespace confab {

void ArrivalPool::add() {
    chunks_.push_back(std::make_unique<std::array<Arrival, chunk_size>>());
    for (Arrival& arrival : *chunks_.back()) put(arrival);
}

UringDescriptor::Queued UringDescriptor::queued() const {
    Queued all{.pieces = 0, .bytes = 0};
    if (newest == nullptr) return all;
    const Arrival* arrival = newest;
    do {
        arrival = arrival->next;
        ++all.pieces;
        all.bytes += arrival->size;
    } while (arrival != newest);
    return all;
}

void UringDescriptor::queue(Arrival& arrival) {
    if (newest == nullptr) {
        arrival.next = &arrival;
    } else {
        arrival.next = newest->next;
        newest->next = &arrival;
    }
    newest = &arrival;
}

Arrival& UringDescriptor::unqueue() {
    Arrival& oldest = *newest->next;
    if (&oldest == newest) {
        newest = nullptr;
    } else {
        newest->next = oldest.next;
    }
    return oldest;
}

// The whole page, so that each knows its number.
UringDescriptor& UringDescriptors::add(int fd) {
    const std::size_t index = page_of(fd);
    if (index >= table_.size()) table_.resize(index + 1);
    table_[index] = std::make_unique<Page>();
    int number = static_cast<int>(index * page_size);
    for (UringDescriptor& descriptor : *table_[index]) descriptor.fd = number++;
    return *find(fd);
}

}  // namespace confab
