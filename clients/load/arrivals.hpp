// Public: when the messages of an open loop are due.
#pragma once

#include <cstdint>
#include <expected>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "pools/clock.hpp"

namespace confab::load {

/// Messages a second over time: stretches in which the rate moves evenly from one value to another; after the
/// last it stays as it is. A value.
class RateProfile {
  public:
    struct Stretch {
        double seconds;
        double from, to;  ///< messages a second at its beginning and end; a jump lies between two stretches
    };

    /// The same rate for ever.
    explicit RateProfile(double rate) : RateProfile({{.seconds = 0, .from = rate, .to = rate}}) {}
    /// Requires: not empty, nothing negative.
    explicit RateProfile(std::vector<Stretch> stretches) : stretches_(std::move(stretches)) {}

    /// "10:0-5000,30:5000,1:20000": for each stretch its seconds and its rate, or the rates at its beginning
    /// and end; or a sentence that says what is allowed.
    static std::expected<RateProfile, std::string> parse(std::string_view text);

    double rate_at(double seconds) const;
    /// Of all stretches.
    double seconds() const;
    bool is_constant() const;
    /// The same, with so many seconds at its first rate before it.
    RateProfile after_warmup(double warmup_seconds) const;
    /// Seconds until `messages` are due in all, counted in fractions; infinite when the rate ends at zero
    /// before.
    double when(double messages) const;

  private:
    std::vector<Stretch> stretches_;
};

enum class Spacing : std::uint8_t {
    even,     ///< each message is due as long after the last as the rate says
    poisson,  ///< as from many people who know nothing of one another: independent exponential gaps
};

/// The times at which messages are due, one after the other. Several workers share a rate: of even spacing
/// each has every so manieth message, of Poisson's each has its own stream, which add up to one. One thread
/// at a time.
class Arrivals {
  public:
    struct Share {
        std::size_t index = 0, of = 1;
    };

    Arrivals(RateProfile profile, Spacing spacing, Share share, std::uint64_t seed);

    /// The profile begins at `start`.
    void begin(Instant start);
    /// From `now` on the rate is `rate` for all workers together, whatever the profile said.
    void change_rate(Instant now, double rate);

    /// When the next message is due; `never`: none.
    Instant next() const { return next_; }
    /// Goes on to the one after it.
    void pop();

  private:
    double step();

    RateProfile profile_;
    const Spacing spacing_;
    const Share share_;
    std::mt19937_64 random_;
    Instant start_{};
    double messages_ = 0;  // those of all workers that are due by `next_`
    Instant next_ = never;
};

}  // namespace confab::load
