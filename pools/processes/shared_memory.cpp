#include "pools/processes/shared_memory.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <system_error>

namespace confab::processes {
namespace {

// Whoever has the descriptor could otherwise cut the file short, and our next access would be a SIGBUS.
constexpr int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

[[noreturn]] void refuse(const char* what) { throw std::system_error(errno, std::system_category(), what); }

Fd make_file(std::size_t size) {
    if (size == 0) throw std::invalid_argument("shared memory of no size");
    Fd file(::memfd_create("confab", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!file) refuse("memfd_create");
    if (size > INT64_MAX) throw std::system_error(ENOMEM, std::system_category(), "shared memory");
    if (::ftruncate(file.get(), static_cast<off_t>(size)) < 0) refuse("shared memory: ftruncate");
    if (::fcntl(file.get(), F_ADD_SEALS, seals) < 0) refuse("shared memory: F_ADD_SEALS");
    return file;
}

}  // namespace

shared_memory::shared_memory(std::size_t size) : shared_memory(make_file(size), size) {}

shared_memory::shared_memory(Fd descriptor, std::size_t size) : descriptor_(std::move(descriptor)) {
    void* const start = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor_.get(), 0);
    if (start == MAP_FAILED) refuse("shared memory: mmap");
    bytes_ = {static_cast<std::byte*>(start), size};
}

shared_memory shared_memory::attach(Fd descriptor) {
    struct stat facts = {};
    if (::fstat(descriptor.get(), &facts) < 0) refuse("shared memory: fstat");
    // Only memory files have seals: EINVAL for others.
    const int sealed = ::fcntl(descriptor.get(), F_GET_SEALS);
    if (sealed < 0 || (sealed & seals) != seals || facts.st_size == 0)
        throw std::invalid_argument("the descriptor is not one of a shared_memory");
    const auto size = static_cast<std::size_t>(facts.st_size);
    return {std::move(descriptor), size};
}

void shared_memory::unmap() noexcept {
    // It can fail only for arguments that are not those of a mapping.
    if (!bytes_.empty()) ::munmap(bytes_.data(), bytes_.size());
}

}  // namespace confab::processes
