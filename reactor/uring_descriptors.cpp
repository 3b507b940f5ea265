#include "reactor/uring_descriptors.hpp"

#include <bit>

namespace confab {

UringDescriptor& UringDescriptors::add(int fd) {
    const auto index = static_cast<std::size_t>(fd);
    if (!has_room_for(fd)) table_.resize(std::bit_ceil(index + 1));
    UringDescriptor& fresh = pool_.get();
    fresh = {};
    fresh.fd = fd;
    fresh.in_use = true;
    table_[index] = &fresh;
    return fresh;
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
