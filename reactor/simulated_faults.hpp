// Internal to reactor: what goes wrong in a simulation, and when. All its chance comes from here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "reactor/simulated.hpp"

namespace confab {

class SimulatedFaults {
  public:
    using Kind = Operation::Kind;

    /// `options` outlives this.
    explicit SimulatedFaults(const SimulationOptions& options) : options_(options), state_(options.seed) {}

    /// What the next call of `kind` fails with; 0: it does not.
    int failure(Kind kind);
    /// How many of `size` bytes the next call of `kind` deals with: at least one, when there is one.
    std::size_t piece(Kind kind, std::size_t size);
    /// How long after it could be over an operation is reported.
    Duration lateness(Kind kind);
    /// How long something is on its way.
    Duration travel_time() { return chance(options_.delay) ? pause() : Duration::zero(); }
    /// The time between two pieces of a send.
    Duration pause();
    bool reset() { return chance(options_.reset); }
    bool reorder() { return chance(options_.reorder); }
    bool coin() { return (next() & 1) != 0; }
    /// 0 to limit - 1.
    std::uint64_t below(std::uint64_t limit) { return next() % limit; }

    template <class Vector>
    void shuffle(Vector& things) {
        for (std::size_t i = things.size(); i > 1; --i) std::swap(things[i - 1], things[below(i)]);
    }

    void fail_next(Kind kind, int error) { failures_.push_back({kind, error}); }
    void shorten_next(Kind kind, std::size_t bytes) {
        pieces_.push_back({kind, static_cast<std::int64_t>(bytes)});
    }
    void delay_next(Kind kind, Duration delay) { delays_.push_back({kind, delay.count()}); }

  private:
    struct Appointment {
        Kind kind;
        std::int64_t value;
    };
    using Appointments = std::vector<Appointment>;

    /// The oldest value for `kind`, taken out; -1 when there is none.
    static std::int64_t take(Appointments& appointments, Kind kind);
    bool chance(double probability);
    std::uint64_t next();

    const SimulationOptions& options_;
    std::uint64_t state_;
    Appointments failures_;
    Appointments pieces_;
    Appointments delays_;
};

}  // namespace confab
