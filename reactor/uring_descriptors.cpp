#include "reactor/uring_descriptors.hpp"

#include <bit>

namespace confab {

void job_list::append(Job*& list, Job& job) {
    Job** link = &list;
    while (*link != nullptr) link = &(*link)->next;
    job.next = nullptr;
    *link = &job;
}

bool job_list::take_out(Job*& list, Job& job) {
    for (Job** link = &list; *link != nullptr; link = &(*link)->next) {
        if (*link != &job) continue;
        *link = job.next;
        job.next = nullptr;
        return true;
    }
    return false;
}

UringDescriptor& UringDescriptors::get(int fd) {
    const auto index = static_cast<std::size_t>(fd);
    if (index >= table_.size()) table_.resize(std::bit_ceil(index + 1));
    if (table_[index] == nullptr) {
        UringDescriptor& fresh = pool_.get();
        fresh.fd = fd;
        fresh.in_use = true;
        table_[index] = &fresh;
    }
    return *table_[index];
}

void UringDescriptors::detach(UringDescriptor& descriptor) {
    if (find(descriptor.fd) == &descriptor) table_[static_cast<std::size_t>(descriptor.fd)] = nullptr;
}

void UringDescriptors::put(UringDescriptor& descriptor) {
    detach(descriptor);
    descriptor.in_use = false;
    pool_.put(descriptor);
}

}  // namespace confab
