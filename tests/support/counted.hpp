// Internal to tests: a value that counts its instances, and a check that nothing of a test is left.
#pragma once

#include <doctest/doctest.h>

#include <atomic>
#include <utility>

#include "reactor/thread_counts.hpp"

namespace confab {

/// Instances count themselves, on whatever thread.
class Counted {
  public:
    static inline std::atomic<int> alive = 0;
    static inline std::atomic<int> copied = 0;
    static inline std::atomic<int> moved = 0;  // constructed or assigned

    explicit Counted(int its_value = 0) : value(its_value) { ++alive; }
    Counted(const Counted& other) : value(other.value) {
        ++alive;
        ++copied;
    }
    Counted(Counted&& other) noexcept : value(std::exchange(other.value, gone)) {
        ++alive;
        ++moved;
    }
    Counted& operator=(const Counted& other) {
        value = other.value;
        ++copied;
        return *this;
    }
    Counted& operator=(Counted&& other) noexcept {
        value = std::exchange(other.value, gone);
        ++moved;
        return *this;
    }
    ~Counted() { --alive; }

    static constexpr int gone = -1;
    int value;  ///< `gone` when it was moved away
};

/// From here to the end of the block: every Counted that is made dies, and so does every coroutine frame of
/// this thread.
class NothingIsLeft {
  public:
    NothingIsLeft() {
        REQUIRE(Counted::alive == 0);
        Counted::copied = Counted::moved = 0;
    }
    NothingIsLeft(const NothingIsLeft&) = delete;
    NothingIsLeft& operator=(const NothingIsLeft&) = delete;
    ~NothingIsLeft() {
        CHECK(Counted::alive == 0);
        CHECK(thread_counts.frames_alive == frames_before_);
        CHECK(thread_counts.frame_bytes == bytes_before_);
    }

  private:
    const std::uint64_t frames_before_ = thread_counts.frames_alive;
    const std::uint64_t bytes_before_ = thread_counts.frame_bytes;
};

}  // namespace confab
