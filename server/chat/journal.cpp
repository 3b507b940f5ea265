#include "server/chat/journal.hpp"

#include <cstdio>
#include <cstdlib>

namespace confab::chat {

namespace {

// Stands behind the bytes that were kept, so that the newest are found first.
struct Footer {
    void* object;
    std::size_t size;
};

constexpr std::size_t aligned(std::size_t size) { return (size + 7) & ~std::size_t{7}; }

}  // namespace

void Journal::keep(void* object, std::size_t size) {
    const std::size_t used = memory_.used.load(std::memory_order_relaxed);
    const std::size_t kept = aligned(size);
    if (used + kept + sizeof(Footer) > memory_.bytes.size()) {
        std::fputs("confab: a change of the chat is larger than its journal\n", stderr);
        std::abort();
    }
    std::byte* const at = memory_.bytes.data() + used;
    std::memcpy(at, object, size);
    const Footer footer{.object = object, .size = size};
    std::memcpy(at + kept, &footer, sizeof footer);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    memory_.used.store(used + kept + sizeof footer, std::memory_order_relaxed);
    std::atomic_signal_fence(std::memory_order_seq_cst);
}

// Newest first: what was kept twice is put back as it was at first. Who is killed here leaves the rest to the
// next one; putting back twice does no harm.
void Journal::roll_back() {
    std::size_t used = memory_.used.load(std::memory_order_relaxed);
    while (used > 0) {
        Footer footer;
        used -= sizeof footer;
        std::memcpy(&footer, memory_.bytes.data() + used, sizeof footer);
        used -= aligned(footer.size);
        std::memcpy(footer.object, memory_.bytes.data() + used, footer.size);
        std::atomic_signal_fence(std::memory_order_seq_cst);
        memory_.used.store(used, std::memory_order_relaxed);
        std::atomic_signal_fence(std::memory_order_seq_cst);
    }
}

}  // namespace confab::chat
