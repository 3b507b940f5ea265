// Internal to pools: whether to watch for a moment before going to sleep.
#pragma once

#include <sched.h>

#include <algorithm>
#include <cstdint>

namespace confab {

/// Sleeping and being woken costs some microseconds and both sides a system call, so what will have happened
/// by then is better watched for. What will not is watched for in vain; so this learns from the last waits of
/// its place which kind they are, and tries again once in a while. One thread at a time, `watch` apart.
class Patience {
  public:
    /// Whether to `watch` this time; if so, `learn` from it.
    bool is_worthwhile() { return good_less_vain_ >= 0 || ++waits_ % waits_per_trial == 0; }

    /// Watches until `happened()`, for about ten microseconds at most, giving the processor away now and
    /// then: where there is one for both sides, nothing could happen otherwise. False: it did not happen.
    template <class Happened>
    static bool watch(Happened happened) {
        for (int look = 0; look < looks; ++look) {
            for (int i = 0; i < pauses_per_look; ++i) {
                if (happened()) return true;
                pause();
            }
            sched_yield();
        }
        return happened();
    }

    void learn(bool was_good) {
        good_less_vain_ = std::clamp(good_less_vain_ + (was_good ? 1 : -1), -certainty, certainty);
    }

  private:
    static constexpr int looks = 16;
    static constexpr int pauses_per_look = 8;
    static constexpr int certainty = 8;  // after so many vain ones in a row it takes as many good ones
    static constexpr std::uint32_t waits_per_trial = 32;

    static void pause() {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        __asm__ volatile("yield");
#endif
    }

    int good_less_vain_ = 0;
    std::uint32_t waits_ = 0;
};

}  // namespace confab
