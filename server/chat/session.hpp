// Public: what lasts of a member.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "reactor/clock.hpp"
#include "server/chat/entry.hpp"
#include "server/chat/line_splitter.hpp"
#include "server/chat/names.hpp"

namespace confab::chat {

/// So many at once, so many a second in the long run. A time is all it has to remember.
class Allowance {
  public:
    /// Takes one, if there is one left. `per_second` 0: there always is.
    bool take(unsigned per_second, unsigned at_once, Instant now) {
        if (per_second == 0) return true;
        const Duration each = std::chrono::seconds(1) / per_second;
        const Instant from = std::max(all_back_, now);
        if (from + each > now + each * at_once) return false;
        all_back_ = from + each;
        return true;
    }

    /// For writing it out. The clock is the machine's, so it means the same in all its processes.
    std::int64_t written() const { return all_back_.time_since_epoch().count(); }
    static Allowance from_written(std::int64_t written) {
        Allowance allowance;
        allowance.all_back_ = Instant(Duration(written));
        return allowance;
    }

  private:
    Instant all_back_ = Instant::min();  // when everything taken has come back
};

/// Everything of a conversation that must survive it being moved to another reactor, process or program, in
/// one plain struct. What is missing is kept once for many members: how far a room was delivered is the same
/// for all members of a hub (Hub::delivered), and the bytes not yet sent are the outbox's.
struct Session {
    struct Seat {
        RoomId room;
        std::uint32_t place;  ///< among the hub's members in that room; means nothing elsewhere
    };

    MemberId id;
    Name nick;
    std::uint32_t tells_seen = 0;  ///< private messages delivered
    std::vector<Seat> seats;
    RoomId current = no_room;  ///< the room that plain lines go to
    Allowance lines;
    PartialLine partial;    ///< a line whose end has not come
    std::string unhandled;  ///< received behind a line that has to wait
};

}  // namespace confab::chat
