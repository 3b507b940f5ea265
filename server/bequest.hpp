// Internal to server: giving connections to a successor, none of which may be lost or had twice on the way.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "pools/annotated_mutex.hpp"
#include "pools/connection.hpp"
#include "server/traveller.hpp"

namespace confab {

/// The predecessor's end. A connection that is sent stays its own until the successor has said that it holds
/// it, which it does before it touches it. So a successor that dies has what it had said that it holds;
/// everything else is given back, and nobody has seen anything of it. One that does not answer keeps waiting
/// what was sent to it, since nobody can know what it will do yet, until it answers or is killed.
class Bequest {
  public:
    /// `end`: of a two-way pipe whose other end the successor alone has; none: there is no successor.
    /// `lost` is called with the state of each connection that it held when it went, by the thread that hears
    /// it.
    Bequest(Fd end, std::function<void(const std::string&)> lost)
        : heir_(std::move(end)), lost_(std::move(lost)), is_open_(!heir_.closed()) {}

    /// Any thread. See HandOver. Waits some seconds at most, for a successor that takes nothing.
    void send(Traveller traveller, Answer answer);

    // One thread.

    /// Readable when there is something to hear; -1: never again.
    int descriptor() const { return heard_all_ ? -1 : heir_.descriptor(); }
    /// Answers for what the successor holds by now, or for everything, if it has gone. Never waits.
    void hear();

  private:
    struct UnderWay {
        Traveller traveller;
        Answer answer;
    };

    bool dispatch(Traveller& traveller, Answer& answer, const std::vector<std::byte>& bytes,
                  const std::vector<int>& descriptors);

    connection heir_;
    const std::function<void(const std::string&)> lost_;
    bool heard_all_ = false;
    std::vector<std::string> held_;  // states of those that the successor has
    Mutex sending_;                  // what is sent first is first in the queue
    Mutex mutex_;
    bool is_open_ CONFAB_GUARDED_BY(mutex_);
    std::deque<UnderWay> under_way_ CONFAB_GUARDED_BY(mutex_);  // in the order in which they were sent
};

/// The successor's end. One thread.
class Inheritance {
  public:
    explicit Inheritance(Fd end) : predecessor_(std::move(end)) {}

    /// Readable when there is something to receive; -1: there is nothing more to come.
    int descriptor() const { return predecessor_.closed() ? -1 : predecessor_.descriptor(); }
    bool is_over() const { return predecessor_.closed(); }

    /// The next connection, which is this process's from here on; nothing: there is none now.
    std::optional<Traveller> receive();

  private:
    connection predecessor_;
};

}  // namespace confab
