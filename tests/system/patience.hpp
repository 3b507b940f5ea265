// Internal to tests: how long to wait for what must happen.
#pragma once

#include <poll.h>

#include <chrono>
#include <span>

namespace confab::system_tests {

// No test waits this long for anything unless it fails: it only bounds how long a fault can hang a run.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr std::chrono::seconds patience{60};
#else
inline constexpr std::chrono::seconds patience{20};
#endif
#else
inline constexpr std::chrono::seconds patience{20};
#endif

class Deadline {
  public:
    explicit Deadline(std::chrono::milliseconds limit = patience)
        : end_(std::chrono::steady_clock::now() + limit) {}

    std::chrono::steady_clock::time_point end() const { return end_; }

    // For poll(2): never negative, which would mean for ever.
    int milliseconds_left() const;

  private:
    std::chrono::steady_clock::time_point end_;
};

// Waits until one of the descriptors has one of its events; false when the deadline passed first.
[[nodiscard]] bool wait_for_any(std::span<pollfd> watched, const Deadline& deadline);

// Waits until the descriptor has one of the events; false when the deadline passed first.
[[nodiscard]] bool wait_for(int fd, short events, const Deadline& deadline);

}  // namespace confab::system_tests
