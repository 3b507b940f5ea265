#include "reactor/simulated_buffers.hpp"

#include <cstring>
#include <utility>

#if defined(__SANITIZE_ADDRESS__)
#define CONFAB_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CONFAB_ASAN 1
#endif
#endif
#ifdef CONFAB_ASAN
#include <sanitizer/asan_interface.h>
#endif

namespace confab {

namespace {

// What memory that has gone back reads as: not zero, not text, not UTF-8.
constexpr int gone = 0xdb;

void forbid([[maybe_unused]] const std::byte* memory, [[maybe_unused]] std::size_t size) {
#ifdef CONFAB_ASAN
    ASAN_POISON_MEMORY_REGION(memory, size);
#endif
}

void permit([[maybe_unused]] const std::byte* memory, [[maybe_unused]] std::size_t size) {
#ifdef CONFAB_ASAN
    ASAN_UNPOISON_MEMORY_REGION(memory, size);
#endif
}

}  // namespace

SimulatedBuffers::~SimulatedBuffers() {
    for (const auto& memory : free_) permit(memory.get(), size_);
}

std::span<std::byte> SimulatedBuffers::lend(Loan& loan, std::size_t size) {
    if (free_.empty()) free_.push_back(std::make_unique<std::byte[]>(size_));
    loan.memory = std::move(free_.back());
    loan.size = size;
    free_.pop_back();
    permit(loan.memory.get(), size);
    forbid(loan.memory.get() + size, size_ - size);
    return {loan.memory.get(), size};
}

void SimulatedBuffers::take_back(Loan& loan) {
    if (loan.memory == nullptr) return;
    std::memset(loan.memory.get(), gone, loan.size);
    forbid(loan.memory.get(), size_);
    free_.push_back(std::move(loan.memory));
}

}  // namespace confab
