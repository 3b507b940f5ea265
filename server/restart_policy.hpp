// Internal to server: when a worker that has ended is followed by another one.
#pragma once

#include <chrono>

namespace confab {

/// The rule for one place, and no more: it starts nobody and knows no time but what it is told.
///
/// The first worker to end is followed at once; the next ones after a pause that doubles from
/// `shortest_pause` to the longest one, until one of them was well. When `most_never_began` in a row have
/// ended before they had begun, nobody follows any more.
class RestartPolicy {
  public:
    using Clock = std::chrono::steady_clock;

    static constexpr Clock::duration shortest_pause = std::chrono::milliseconds(100);
    /// Who has lived so long was well.
    static constexpr Clock::duration healthy_after = std::chrono::seconds(10);
    static constexpr unsigned most_never_began = 5;

    explicit RestartPolicy(Clock::duration longest_pause) : longest_pause_(longest_pause) {}

    struct End {
        bool began = false;     ///< it served, or might have, had nobody killed it
        bool was_well = false;  ///< what came before is made up for
    };
    /// A worker has ended, or could not be made.
    void ended(End end, Clock::time_point now);
    /// One has begun that was not started for one that ended.
    void succeeded();

    bool given_up() const { return never_began_ >= most_never_began; }
    /// When the next one may be started; time_point::max(): never.
    Clock::time_point due() const { return given_up() ? Clock::time_point::max() : due_; }

  private:
    Clock::duration longest_pause_;
    Clock::duration pause_{};  // before the one after the next
    unsigned never_began_ = 0;
    Clock::time_point due_{};
};

}  // namespace confab
