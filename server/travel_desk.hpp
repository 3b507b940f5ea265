// Internal to server: a host's connections that are on their way, from it and to it.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "pools/annotated_mutex.hpp"
#include "reactor/reactor.hpp"
#include "server/traveller.hpp"

namespace confab {

/// Any thread, unless it says otherwise. Outlives what is on its way.
class TravelDesk {
  public:
    /// `arrive` is called on the thread of `reactor` for each connection that comes; `returned`: it was sent
    /// on, and nobody took it.
    TravelDesk(Reactor& reactor, std::function<void(Traveller, bool returned)> arrive)
        : reactor_(reactor), arrive_(std::move(arrive)) {}

    /// Where connections go that are sent on. Before the first is.
    void open(HandOver hand_over) { hand_over_ = std::move(hand_over); }
    void send_on(Traveller traveller);
    /// One that comes from elsewhere.
    void adopt(Traveller traveller) { note({.traveller = std::move(traveller), .answers = false}); }

    /// True while some that were sent on may come back; the reactor is stopped (Reactor::stop) when that has
    /// changed.
    bool is_waiting();

  private:
    struct Arrival {
        std::optional<Traveller> traveller;
        bool answers;
    };
    struct ArrivalsJob : Job {
        explicit ArrivalsJob(TravelDesk& owner)
            : Job([](Job& job) noexcept { static_cast<ArrivalsJob&>(job).desk.take_arrivals(); }),
              desk(owner) {}
        TravelDesk& desk;
    };

    void note(Arrival arrival);
    void take_arrivals();

    Reactor& reactor_;
    const std::function<void(Traveller, bool)> arrive_;
    HandOver hand_over_;
    ArrivalsJob job_{*this};
    Mutex mutex_;
    std::size_t under_way_ CONFAB_GUARDED_BY(mutex_) = 0;
    std::vector<Arrival> arrivals_ CONFAB_GUARDED_BY(mutex_);
    bool posted_ CONFAB_GUARDED_BY(mutex_) = false;
};

}  // namespace confab
