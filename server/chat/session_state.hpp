// Internal to server: a conversation written out, to go on elsewhere.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "server/chat/entry.hpp"
#include "server/chat/table.hpp"

namespace confab::chat {

/// All that lasts of a session but what the connection owes (Traveller). Plain values, for
/// pools/serialise.hpp.
struct SessionState {
    struct Seat {
        RoomId room = no_room;
        std::uint64_t epoch = 0;  ///< how far he has heard that room's log
        std::uint64_t seq = 0;

        template <class Archive>
        void serialize(Archive& archive) {
            archive(room, epoch, seq);
        }
    };

    std::string protocol;  ///< as the conversation is called; empty: he has not shown yet what he speaks
    std::string nick;
    std::uint32_t slot = 0;  ///< his MemberId
    std::uint32_t tenant = 0;
    Slot courier = no_slot;        ///< keeps his place on the bus meanwhile (Chat::depart)
    std::vector<Seat> seats;       ///< in the order of joining
    RoomId current = no_room;      ///< the room that plain lines go to
    std::uint32_t tells_seen = 0;  ///< private messages delivered
    std::int64_t lines_back = 0;   ///< Allowance, as nanoseconds of the machine's steady clock
    std::string partial;           ///< a line whose end has not come
    bool discarding = false;       ///< the rest of it is being thrown away
    std::string unhandled;         ///< received, and not looked at yet
    std::string wire;              ///< what else the protocol has to remember, as it writes it

    template <class Archive>
    void serialize(Archive& archive) {
        archive(protocol, nick, slot, tenant, courier, seats, current, tells_seen, lines_back, partial,
                discarding, unhandled, wire);
    }

    std::string write() const;
    /// Throws serialisation_error.
    static SessionState read(std::string_view text);
};

}  // namespace confab::chat
